#include "layer-pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "layer-tree.h"
#include "layer-xattr.h"
#include "name-list.h"
#include "tar-pack.h"

#define IDS_MAX 65535
#define XATTR_NAMES_BYTES 65536
#define XATTR_VALUES_BYTES 262144

struct packer {
  const struct layer_pack_request *request;
  struct failure *failure;
  struct tar_writer writer;
  struct copied_links links;
  uint64_t bytes;
  uint32_t entries;
  char path[PATH_MAX]; /* of the current entry */
  char target[PATH_MAX];
  char names[XATTR_NAMES_BYTES];
  uint8_t values[XATTR_VALUES_BYTES];
  struct tar_xattr xattrs[TAR_XATTRS_MAX];
};

static int pack_directory(struct packer *packer, int *directory, int depth);

static int fail(struct packer *packer, int error, const char *detail) {
  packer->failure->error = error;
  snprintf(packer->failure->object, sizeof packer->failure->object, "%.*s",
           (int)sizeof packer->failure->object - 1, packer->path);
  snprintf(packer->failure->detail, sizeof packer->failure->detail, "%s", detail);
  return -1;
}

static int write_failed(struct packer *packer, int error) {
  if (error == -E2BIG) return fail(packer, E2BIG, "its extended attributes are too large");
  return fail(packer, -error, "the archive cannot be written");
}

static uint32_t get_u32(const uint8_t *bytes) {
  return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put_u32(uint8_t *bytes, uint32_t value) {
  for (size_t i = 0; i < 4; i++) bytes[i] = (uint8_t)(value >> 8 * i);
}

/* On the disk the root that file capabilities trust is the shifted one (struct vfs_ns_cap_data); for id 0 the second
 * revision says the same without naming it. Returns the new size; 0: it trusts nobody of this container. */
static size_t restore_capability(uint8_t *value, size_t size, uint32_t id_base) {
  if (size != XATTR_CAPS_SZ_3) return size;
  uint32_t magic = get_u32(value), root = get_u32(value + 20) - id_base;
  if (root > IDS_MAX) return 0;
  if (root != 0) {
    put_u32(value + 20, root);
    return size;
  }
  put_u32(value, VFS_CAP_REVISION_2 | (magic & VFS_CAP_FLAGS_MASK));
  return XATTR_CAPS_SZ_2;
}

/* What unpacking gives back: a user's attributes, access lists and the capabilities of programs. */
static int read_xattrs(struct packer *packer, int fd, size_t *count) {
  size_t used = 0;
  *count = 0;
  ssize_t length = flistxattr(fd, packer->names, sizeof packer->names);
  if (length < 0) return errno == ENOTSUP ? 0 : fail(packer, errno, "its attributes cannot be read");
  for (char *name = packer->names; name < packer->names + length; name += strlen(name) + 1) {
    bool is_capability = strcmp(name, "security.capability") == 0;
    if (strcmp(name, "trusted.overlay.redirect") == 0 || strcmp(name, "trusted.overlay.metacopy") == 0)
      return fail(packer, EOPNOTSUPP, "overlay keeps a part of it elsewhere (redirect_dir or metacopy is on)");
    bool is_acl = layer_is_acl(name);
    if (!is_capability && !is_acl && strncmp(name, "user.", 5) != 0) continue;
    if (*count == TAR_XATTRS_MAX) return fail(packer, E2BIG, "it has more than 256 attributes");
    uint8_t *value = packer->values + used;
    ssize_t size = fgetxattr(fd, name, value, sizeof packer->values - used);
    if (size < 0 && errno == ENODATA) continue;
    if (size < 0) return fail(packer, errno, "an attribute cannot be read");
    size_t kept = is_capability ? restore_capability(value, (size_t)size, packer->request->id_base) : (size_t)size;
    if (is_capability && kept == 0) continue;
    if (is_acl && layer_shift_acl(value, kept, packer->request->id_base, 0) < 0)
      return fail(packer, EOVERFLOW, "its access list names none of the container's ids");
    packer->xattrs[(*count)++] = (struct tar_xattr){name, value, kept};
    used += kept;
  }
  return 0;
}

static int pack_entry(struct packer *packer, const struct stat *status, enum tar_kind kind, int fd) {
  struct tar_entry entry = tar_pack_entry(status, kind, packer->path, packer->target);
  uint32_t uid = status->st_uid - packer->request->id_base, gid = status->st_gid - packer->request->id_base;
  entry.uid = uid;
  entry.gid = gid;
  if (uid > IDS_MAX || gid > IDS_MAX) return fail(packer, EOVERFLOW, "its owner is none of the container's ids");
  if (++packer->entries > packer->request->entries_max) return fail(packer, EFBIG, "there are too many entries");
  entry.xattrs = packer->xattrs;
  if (fd >= 0 && read_xattrs(packer, fd, &entry.xattr_count) < 0) return -1;
  int error = tar_writer_entry(&packer->writer, &entry);
  return error < 0 ? write_failed(packer, error) : 0;
}

/* An empty file beside what it speaks of, named after it. */
static int pack_whiteout(struct packer *packer, size_t parent_length, const char *name) {
  struct tar_entry entry = {.kind = TAR_FILE, .path = packer->path, .mode = 0600};
  int length = snprintf(packer->path + parent_length, sizeof packer->path - parent_length, "%s.wh.%s",
                        parent_length > 0 ? "/" : "", name);
  if (length >= (int)(sizeof packer->path - parent_length) || strlen(name) + 4 > NAME_MAX)
    return fail(packer, ENAMETOOLONG, "a layer has no name for the removal of it");
  int error = tar_writer_entry(&packer->writer, &entry);
  return error < 0 ? write_failed(packer, error) : 0;
}

static int pack_content(struct packer *packer, int fd, uint64_t size) {
  int unread = 0;
  int error = tar_pack_content(&packer->writer, fd, size, &unread);
  if (unread != 0) return fail(packer, unread, "it cannot be read");
  return error < 0 ? write_failed(packer, error) : 0;
}

/* 1: it was packed before, under another name. */
static int pack_further_name(struct packer *packer, const struct stat *status) {
  int met = tar_pack_met(&packer->links, status, packer->path, packer->target, sizeof packer->target);
  if (met < 0) return fail(packer, -met, "memory");
  return met == 0 ? 0 : pack_entry(packer, status, TAR_HARD_LINK, -1) < 0 ? -1 : 1;
}

static int pack_file(struct packer *packer, int fd) {
  struct stat status;
  if (fstat(fd, &status) < 0) return fail(packer, errno, "it cannot be looked at");
  if (!S_ISREG(status.st_mode)) return 0; /* another thing has taken its name */
  int packed = pack_further_name(packer, &status);
  if (packed != 0) return packed < 0 ? -1 : 0;
  if (__builtin_add_overflow(packer->bytes, (uint64_t)status.st_size, &packer->bytes) ||
      packer->bytes > packer->request->bytes_max)
    return fail(packer, EFBIG, "with it there are more bytes than a layer may have");
  if (pack_entry(packer, &status, TAR_FILE, fd) < 0) return -1;
  return pack_content(packer, fd, (uint64_t)status.st_size);
}

static int pack_symlink(struct packer *packer, int parent, const char *name, const struct stat *status) {
  int packed = pack_further_name(packer, status);
  if (packed != 0) return packed < 0 ? -1 : 0;
  ssize_t length = readlinkat(parent, name, packer->target, sizeof packer->target - 1);
  if (length < 0) return tar_pack_is_gone(errno) || errno == EINVAL ? 0 : fail(packer, errno, "the link cannot be read");
  packer->target[length] = '\0';
  return pack_entry(packer, status, TAR_SYMLINK, -1);
}

/* What has neither content nor a descriptor. */
static int pack_node(struct packer *packer, const struct stat *status, enum tar_kind kind) {
  int packed = pack_further_name(packer, status);
  return packed != 0 ? (packed < 0 ? -1 : 0) : pack_entry(packer, status, kind, -1);
}

static int pack_opened(struct packer *packer, int parent, const char *name, bool is_directory, int depth) {
  int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (is_directory ? O_DIRECTORY : O_NONBLOCK | O_NOCTTY);
  OWNED_FD fd = openat(parent, name, flags);
  if (fd < 0) return tar_pack_is_gone(errno) ? 0 : fail(packer, errno, "it cannot be opened");
  return is_directory ? pack_directory(packer, &fd, depth) : pack_file(packer, fd);
}

static int pack_named(struct packer *packer, int parent, size_t parent_length, const char *name, int depth) {
  struct stat status;
  if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
    return tar_pack_is_gone(errno) ? 0 : fail(packer, errno, "it cannot be looked at");
  switch (status.st_mode & S_IFMT) {
    case S_IFLNK: return pack_symlink(packer, parent, name, &status);
    case S_IFCHR:
      if (status.st_rdev == 0) return packer->request->is_changes ? pack_whiteout(packer, parent_length, name) : 0;
      return pack_node(packer, &status, TAR_CHARACTER_DEVICE);
    case S_IFBLK: return pack_node(packer, &status, TAR_BLOCK_DEVICE);
    case S_IFIFO: return pack_node(packer, &status, TAR_FIFO);
    case S_IFDIR: return pack_opened(packer, parent, name, true, depth);
    case S_IFREG: return pack_opened(packer, parent, name, false, depth);
    default: return 0;
  }
}

static int pack_children(struct packer *packer, int directory, int depth) {
  struct name_list names;
  size_t length = strlen(packer->path);
  int result = 0, error = name_list_read(&names, directory);
  if (error < 0) return fail(packer, -error, "it cannot be listed");
  for (size_t i = 0; result == 0 && i < names.count; i++) {
    const char *name = names.names[i];
    if (length + strlen(name) + 2 > sizeof packer->path) {
      result = fail(packer, ENAMETOOLONG, "what is in it has a path that is too long");
      break;
    }
    snprintf(packer->path + length, sizeof packer->path - length, "%s%s", length > 0 ? "/" : "", name);
    result = pack_named(packer, directory, length, name, depth);
    /* The failure names what failed. */
    packer->path[length] = '\0';
  }
  name_list_free(&names);
  return result;
}

static bool is_opaque(int directory) {
  char value[2];
  return fgetxattr(directory, LAYER_OPAQUE_XATTR, value, sizeof value) == 1 && value[0] == 'y';
}

static int pack_directory(struct packer *packer, int *directory, int depth) {
  struct stat status;
  size_t length = strlen(packer->path);
  if (fstat(*directory, &status) < 0) return fail(packer, errno, "it cannot be looked at");
  if (depth > LAYER_DEPTH_MAX) return fail(packer, ELOOP, "it lies deeper than 256 directories");
  if (depth > 0 && pack_entry(packer, &status, TAR_DIRECTORY, *directory) < 0) return -1;
  if (packer->request->is_changes && is_opaque(*directory)) {
    if (pack_whiteout(packer, length, ".wh..opq") < 0) return -1;
    packer->path[length] = '\0';
  }
  return pack_children(packer, *directory, depth + 1);
}

int layer_pack(const struct layer_pack_request *request, int fd, struct failure *failure) {
  struct packer *packer = calloc(1, sizeof *packer);
  OWNED_FD root = openat(request->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (packer == NULL || root < 0) {
    failure->error = packer == NULL ? ENOMEM : errno;
    free(packer);
    return -1;
  }
  packer->request = request;
  packer->failure = failure;
  tar_writer_open(&packer->writer, fd);
  int result = pack_directory(packer, &root, 0);
  int error = result == 0 ? tar_writer_finish(&packer->writer) : 0;
  if (error < 0) result = write_failed(packer, error);
  tar_writer_close(&packer->writer);
  copied_links_free(&packer->links);
  free(packer);
  return result;
}
