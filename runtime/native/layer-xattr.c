#include "layer-xattr.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "layer-tree.h"

#define IDS_MAX 65535
/* struct posix_acl_xattr_header and _entry of linux/posix_acl_xattr.h: little endian. */
#define ACL_VERSION 2
#define ACL_ENTRY_BYTES 8
#define ACL_USER 0x02
#define ACL_GROUP 0x08

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

bool layer_is_acl(const char *name) {
  return strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0;
}

int layer_shift_acl(uint8_t *value, size_t size, uint32_t from, uint32_t to) {
  if (size < 4 || (size - 4) % ACL_ENTRY_BYTES != 0 || get_u32(value) != ACL_VERSION) return -1;
  for (uint8_t *entry = value + 4; entry < value + size; entry += ACL_ENTRY_BYTES) {
    uint16_t tag = (uint16_t)(entry[0] | entry[1] << 8);
    if (tag != ACL_USER && tag != ACL_GROUP) continue;
    uint32_t id = get_u32(entry + 4) - from;
    if (id > IDS_MAX) return -1;
    put_u32(entry + 4, id + to);
  }
  return 0;
}

/* Ids of an access list are the container's, as owners are. A file system without such lists does without. */
static int set_acl(int fd, const struct tar_xattr *xattr, uint32_t id_base) {
  static uint8_t value[65536];
  memcpy(value, xattr->value, xattr->size);
  if (layer_shift_acl(value, xattr->size, 0, id_base) < 0) {
    errno = EINVAL;
    return -1;
  }
  int result = fsetxattr(fd, xattr->name, value, xattr->size, 0);
  return result < 0 && errno == EOPNOTSUPP ? 0 : result;
}

/* The only attribute of overlay's own that means no more than a whiteout does. */
static bool is_opaque(const struct tar_entry *entry, const struct tar_xattr *xattr) {
  return entry->kind == TAR_DIRECTORY && strcmp(xattr->name, LAYER_OPAQUE_XATTR) == 0 && xattr->size == 1 &&
         xattr->value[0] == 'y';
}

int layer_set_xattrs(int fd, const struct tar_entry *entry, uint32_t id_base, struct failure *failure) {
  for (size_t i = 0; i < entry->xattr_count; i++) {
    const struct tar_xattr *xattr = &entry->xattrs[i];
    int result = 0;
    if (strcmp(xattr->name, "security.capability") == 0) {
      result = entry->kind == TAR_FILE ? set_capability(fd, xattr, id_base) : 0;
    } else if (layer_is_acl(xattr->name)) {
      result = set_acl(fd, xattr, id_base);
    } else if (is_opaque(entry, xattr)) {
      result = fsetxattr(fd, LAYER_OPAQUE_XATTR, "y", 1, 0);
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
