/* A set of byte strings, bounded by what they take as fields of a message. */
#ifndef BERTH_NAME_SET_H
#define BERTH_NAME_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_set {
  char **slots; /* NULL: free; open addressing */
  size_t capacity;
  size_t count;
  size_t bytes; /* of all names, each with its length before it and a NUL behind it */
  size_t bytes_max;
  uint64_t seed; /* of the hash, unknown to who chooses the names */
};

/* 0, -E2BIG when it would grow beyond its limit, or -ENOMEM. Adding twice is no error. */
int name_set_add(struct name_set *set, const char *name);
void name_set_remove(struct name_set *set, const char *name);
/* Removes the name and all that begin with it and a slash. */
void name_set_remove_beneath(struct name_set *set, const char *name);
void name_set_free(struct name_set *set);

#endif
