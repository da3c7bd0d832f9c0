/* Extended attributes of an archive, on files and directories of a layer. */
#ifndef BERTH_LAYER_XATTR_H
#define BERTH_LAYER_XATTR_H

#include "tar-reader.h"

/* Kept: user.*, and security.capability, whose root becomes `id_base` so that it counts in the user namespace
 * of a container and nowhere else. Passed over: all other names (a layer has no say in trusted.overlay.*, labels
 * of security modules or ACLs with ids of the host), and user.* where the file system has none.
 * 0, or -1 with `failure` filled. */
int layer_set_xattrs(int fd, const struct tar_entry *entry, uint32_t id_base, struct failure *failure);

#endif
