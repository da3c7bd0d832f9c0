#include "layer-xattr.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#define IDS_MAX 65535

static uint32_t get_u32(const uint8_t *bytes) {
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put_u32(uint8_t *bytes, uint32_t value) {
  for (size_t i = 0; i < 4; i++) bytes[i] = (uint8_t)(value >> 8 * i);
}

/* struct vfs_ns_cap_data: magic and flags, two pairs of sets, the root that the file trusts. */
static int set_capability(int fd, const struct tar_xattr *xattr, uint32_t id_base) {
  uint8_t value[XATTR_CAPS_SZ_3] = {0};
  uint32_t magic = xattr->size >= 4 ? get_u32(xattr->value) : 0, root = 0;
  uint32_t revision = magic & VFS_CAP_REVISION_MASK;
  size_t sets = revision == VFS_CAP_REVISION_1 ? 8 : 16;
  bool fits = (revision == VFS_CAP_REVISION_1 && xattr->size == XATTR_CAPS_SZ_1) ||
              (revision == VFS_CAP_REVISION_2 && xattr->size == XATTR_CAPS_SZ_2) ||
              (revision == VFS_CAP_REVISION_3 && xattr->size == XATTR_CAPS_SZ_3);
  if (fits && revision == VFS_CAP_REVISION_3) root = get_u32(xattr->value + 20);
  if (!fits || root > IDS_MAX) {
    errno = EINVAL;
    return -1;
  }
  put_u32(value, VFS_CAP_REVISION_3 | (magic & VFS_CAP_FLAGS_MASK));
  memcpy(value + 4, xattr->value + 4, sets);
  put_u32(value + 20, id_base + root);
  return fsetxattr(fd, xattr->name, value, sizeof value, 0);
}

int layer_set_xattrs(int fd, const struct tar_entry *entry, uint32_t id_base, struct failure *failure) {
  for (size_t i = 0; i < entry->xattr_count; i++) {
    const struct tar_xattr *xattr = &entry->xattrs[i];
    int result = 0;
    if (strcmp(xattr->name, "security.capability") == 0) {
      result = entry->kind == TAR_FILE ? set_capability(fd, xattr, id_base) : 0;
    } else if (strncmp(xattr->name, "user.", 5) == 0) {
      result = fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0);
      if (result < 0 && (errno == EOPNOTSUPP || errno == EPERM)) result = 0;
    }
    if (result == 0) continue;
    failure->error = errno;
    snprintf(failure->detail, sizeof failure->detail, "cannot set its attribute %.255s", xattr->name);
    return -1;
  }
  return 0;
}
