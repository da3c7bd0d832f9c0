/* Copies a directory's content into an empty directory. */
#ifndef BERTH_COPY_TREE_H
#define BERTH_COPY_TREE_H

#include <stddef.h>

/* Copies what is in the directory `source` into the directory `destination` (both open), with owners, modes, times,
 * xattrs, devices, FIFOs and hard links within the tree. Symbolic links are copied, never followed. The destination
 * takes the source's own owner and mode. Returns 0 or -errno and names the entry in `object`. */
int copy_tree(int source, int destination, char *object, size_t object_size);

#endif
