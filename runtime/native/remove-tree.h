/* Removal of a whole directory tree that a hostile container may have written. */
#ifndef BERTH_REMOVE_TREE_H
#define BERTH_REMOVE_TREE_H

#include <stddef.h>

/* Removes what `path` names, and everything beneath it when that is a directory. Follows no symbolic link below
 * the parent of `path`, enters no other mount, and needs a bounded number of descriptors however deep the tree
 * is. What is already gone is no error. Goes on past an entry that cannot be removed (an immutable file, a mount
 * point) and reports the first one: returns 0, or -1 with errno set and `object` naming the entry. */
int remove_tree(const char *path, char *object, size_t object_size);

/* The same for the entry `name` of the directory `parent`. `object` gets a path that begins with `name`. */
int remove_tree_at(int parent, const char *name, char *object, size_t object_size);

#endif
