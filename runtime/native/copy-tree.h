/* Copies a directory's content into an empty directory. */
#ifndef BERTH_COPY_TREE_H
#define BERTH_COPY_TREE_H

#include <stddef.h>
#include <stdint.h>

/* Copies what is in the directory `source` into the directory `destination` (both open), with owners, modes, times,
 * xattrs, devices, FIFOs and hard links within the tree. Symbolic links are copied, never followed. The destination
 * takes the source's own owner and mode. What is copied is on the disk when it returns. After `limit_ms` (0: no
 * limit) it gives up with -ETIMEDOUT. Nothing outside the destination is changed, whoever else changes it meanwhile.
 * Returns 0 or -errno and names the entry in `object`. */
int copy_tree(int source, int destination, uint32_t limit_ms, char *object, size_t object_size);

/* Owner, mode, attributes and times of one directory for another. 0 or -errno. */
int copy_directory_attributes(int source, int destination);

#endif
