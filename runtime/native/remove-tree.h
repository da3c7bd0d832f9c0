/* Removing a directory tree without ever following a link out of it. */
#ifndef BERTH_REMOVE_TREE_H
#define BERTH_REMOVE_TREE_H

#include <stddef.h>

/* Removes `path` and everything beneath it, fd-relative, crossing no mount. An absent path is success. Returns 0
 * or -errno; then `object` names what could not be removed. */
int remove_tree(const char *path, char *object, size_t object_size);

#endif
