/* Extended attributes of an archive, on files and directories of a layer. */
#ifndef BERTH_LAYER_XATTR_H
#define BERTH_LAYER_XATTR_H

#include "tar-reader.h"

/* An access list of POSIX.1e, whose ids are shifted as owners are. */
bool layer_is_acl(const char *name);
/* In place. -1: it is malformed, or an id is not above `from` by less than 65,536. */
int layer_shift_acl(uint8_t *value, size_t size, uint32_t from, uint32_t to);
/* Kept: user.*; security.capability, whose root becomes `id_base` so that it counts in the user namespace of a
 * container and nowhere else; access lists; of overlay's own only the mark of an opaque directory. Passed over: all
 * other names, and what the file system has no place for. 0, or -1 with `failure` filled. */
int layer_set_xattrs(int fd, const struct tar_entry *entry, uint32_t id_base, struct failure *failure);

#endif
