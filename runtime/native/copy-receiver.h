/* The receiving side of a copy while it is under way (copy-in.h): what its two files share. */
#ifndef BERTH_COPY_RECEIVER_H
#define BERTH_COPY_RECEIVER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "copy-in.h"
#include "layer-tree.h"
#include "tar-reader.h"

/* A directory of the archive that is being filled; the first one is the destination. */
struct level {
  int fd;
  size_t path_length; /* of its part of `path` */
  bool is_made;       /* by this copy: it gets its owner, mode and time when it is left */
  uint64_t uid;
  uint64_t gid;
  mode_t mode;
  struct timespec mtime;
};

struct receiver {
  const struct copy_in_request *request;
  struct failure *failure;
  struct tar_reader reader;
  struct level levels[LAYER_DEPTH_MAX + 2];
  size_t depth;        /* levels in use; 0: the destination is not known yet */
  char path[PATH_MAX]; /* of the deepest level, below the destination */
  int elsewhere;       /* a directory that is not on the stack, for one entry */
  bool is_closed;      /* the source was no directory: nothing may follow */
  uint64_t bytes;
  uint32_t entries;
  unsigned notes;
};

/* Fills the failure in; -1. */
int receiver_fails(struct receiver *receiver, int error, const char *object, const char *detail);
bool receiver_has(const struct receiver *receiver, uint32_t flag);
bool receiver_is_host(const struct receiver *receiver);
/* The directory becomes the deepest level; takes the descriptor over. 0 or -1. */
int receiver_push(struct receiver *receiver, int fd, const char *path, struct level level);
/* A directory below the destination, through links where they count. The caller's descriptor, or -1 with errno. */
int receiver_open_beneath(const struct receiver *receiver, const char *path);

/* Makes one entry in a directory; `path` is what it is called in messages. 0 or -1. */
int receiver_make(struct receiver *receiver, int parent, const char *name, const struct tar_entry *entry,
                  const char *path);
/* Replaces what is in an open file. */
int receiver_write_in_place(struct receiver *receiver, int fd, const struct tar_entry *entry, const char *path);
/* Gives a directory that this copy has made its owner, mode and time. */
int receiver_dress(struct receiver *receiver, int fd, const struct level *level, const char *path);

#endif
