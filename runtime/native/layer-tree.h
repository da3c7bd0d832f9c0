/* The directories of a layer while it is unpacked: a stack of open descriptors from the root to the directory
 * that is written to. An archive is mostly depth-first, so most entries find their parent on top.
 *
 * Each directory below the root is opened from its parent's descriptor with RESOLVE_BENEATH and
 * RESOLVE_NO_SYMLINKS. Where the archive's path leads through a symbolic link of the layer itself, the kernel
 * resolves it with RESOLVE_IN_ROOT, and the path that this gives is walked again without links. */
#ifndef BERTH_LAYER_TREE_H
#define BERTH_LAYER_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "name-set.h"
#include "wire.h"

#define LAYER_DEPTH_MAX 256
#define LAYER_OPAQUE_XATTR "trusted.overlay.opaque"

struct layer_level {
  int fd;
  size_t path_length; /* this directory's part of `path`, without a slash at its end */
  bool touched;       /* written to: its time has to be put back */
  struct timespec mtime;
};

struct layer_tree {
  char root_path[PATH_MAX];
  char path[PATH_MAX]; /* of the deepest level, relative to the root; "" is the root */
  struct layer_level levels[LAYER_DEPTH_MAX + 1];
  size_t depth; /* levels in use, the root included */
  uint32_t id_base;
  uint32_t made; /* implied directories, ever */
  struct name_set implied;
  struct failure *failure;
};

/* Takes the descriptor over. `implied_bytes_max` bounds the list of implied directories. */
int layer_tree_open(struct layer_tree *tree, int root, uint32_t id_base, size_t implied_bytes_max,
                    struct failure *failure);

/* Puts an archive's path into plain form: relative to the root, no empty or "." parts. ".." is refused. */
int layer_path_clean(const char *raw, char clean[PATH_MAX], struct failure *failure);

/* Makes the directory that a clean path names the top of the stack, with its missing parents, ready to be
 * written to. Returns its descriptor, which stays the tree's, or -1. */
int layer_tree_enter(struct layer_tree *tree, const char *path, size_t length);
/* The top of the stack becomes the directory `name` inside it. */
int layer_tree_descend(struct layer_tree *tree, const char *name);
/* The time that the top of the stack is to have in the end. */
void layer_tree_set_mtime(struct layer_tree *tree, struct timespec mtime);
/* The path of an entry of the top directory. */
int layer_tree_path_of(const struct layer_tree *tree, const char *name, char path[PATH_MAX]);
/* Opens the directory part of a link's target without leaving the stack; the descriptor is the caller's. */
int layer_tree_open_elsewhere(const struct layer_tree *tree, const char *path, size_t length);
/* Removes an entry of the top directory, whatever it is. */
int layer_tree_remove(struct layer_tree *tree, const char *name);

/* Leaves every directory with its own time; 0 or -1. */
int layer_tree_finish(struct layer_tree *tree);
void layer_tree_close(struct layer_tree *tree);

#endif
