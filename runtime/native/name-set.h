/* A bounded set of byte strings. */
#ifndef BERTH_NAME_SET_H
#define BERTH_NAME_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_set {
  char **slots; /* NULL: free; open addressing */
  size_t capacity;
  size_t count;
  size_t bytes; /* of all names, their NULs included */
  size_t bytes_max;
};

/* 0, -E2BIG when it would grow beyond its limit, or -ENOMEM. Adding twice is no error. */
int name_set_add(struct name_set *set, const char *name);
void name_set_remove(struct name_set *set, const char *name);
/* Removes the name and all that begin with it and a slash. */
void name_set_remove_beneath(struct name_set *set, const char *name);
void name_set_free(struct name_set *set);

#endif
