/* Paths inside a container's root, resolved by the kernel so that no link in it leads out. */
#ifndef BERTH_IN_ROOT_H
#define BERTH_IN_ROOT_H

#include <stdint.h>
#include <sys/types.h>

enum in_root_kind { IN_ROOT_DIRECTORY = 1, IN_ROOT_FILE = 2 };

/* An O_PATH descriptor of what the path leads to, or -errno. Follows links within the root only, and no magic
 * links of procfs. */
int in_root_open(int root, const char *path);
/* The same, with other flags of open(2); for writing, for example. */
int in_root_open_for(int root, const char *path, uint64_t flags);

/* The same; makes the missing directories, and the last component as the kind says (an empty file or a directory
 * of this mode). Directories on the way get 0755. */
int in_root_open_or_make(int root, const char *path, enum in_root_kind kind, mode_t mode);

/* A symbolic link at this path, unless something is there already. 0 or -errno. */
int in_root_make_symlink(int root, const char *target, const char *path);

/* A directory beneath another; those that are missing are made with this mode. No link is followed (-ENOTDIR), ".." is
 * refused. A descriptor that the caller owns (O_PATH), or -errno. */
int beneath_open_or_make_dirs(int directory, const char *path, mode_t mode);

/* A device node or FIFO that belongs to these ids; the same device in its place is no error. 0 or -errno. */
int in_root_make_node(int root, const char *path, mode_t mode, dev_t rdev, uid_t uid, gid_t gid);

#endif
