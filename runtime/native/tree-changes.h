/* What the writable layer of an overlay changes of the layers below it. */
#ifndef BERTH_TREE_CHANGES_H
#define BERTH_TREE_CHANGES_H

#include <stddef.h>
#include <stdint.h>

struct tree_changes_request {
  int upper;          /* directories, opened for reading */
  int lower;          /* as one tree */
  uint64_t bytes_max; /* of all that is reported */
  uint32_t limit_ms;
  int report_fd;      /* gets BERTH_MSG_CHANGES */
  uint32_t id;
};

/*
 * Reports a letter and a path for each entry of the upper directory: A where the lower tree has no such name, C where
 * it has, D for a whiteout, and for each name of the lower tree that an opaque directory hides. Parents of what changed
 * were copied up and are C themselves. Everything is opened from its directory's descriptor and through no link: a
 * running container may change the tree meanwhile. 0 or -errno: -E2BIG, -ETIMEDOUT at the limits.
 */
int tree_changes(const struct tree_changes_request *request, char *object, size_t object_size);

#endif
