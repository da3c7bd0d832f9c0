#include "copy-out.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "in-root.h"
#include "tar-pack.h"

#define DEPTH_MAX 256
#define XATTR_NAMES_BYTES 65536
#define XATTR_VALUES_BYTES 262144

struct sender {
  const struct copy_out_request *request;
  struct failure *failure;
  struct tar_writer writer;
  struct copied_links links;
  uint64_t bytes;
  uint32_t entries;
  char path[PATH_MAX]; /* of the current entry, in the archive */
  char target[PATH_MAX];
  char names[XATTR_NAMES_BYTES];
  uint8_t values[XATTR_VALUES_BYTES];
  struct tar_xattr xattrs[TAR_XATTRS_MAX];
};

static int fail(struct sender *sender, int error, const char *detail) {
  /* The archive may call what was asked for by another name. */
  bool is_source = sender->request->name != NULL && strcmp(sender->path, sender->request->name) == 0;
  sender->failure->error = error;
  snprintf(sender->failure->object, sizeof sender->failure->object, "%.*s", (int)sizeof sender->failure->object - 1,
           is_source ? sender->request->path : sender->path);
  snprintf(sender->failure->detail, sizeof sender->failure->detail, "%s", detail);
  return -1;
}

static int send_failed(struct sender *sender, int error) {
  if (error == -E2BIG) return fail(sender, E2BIG, "its extended attributes are too large");
  return fail(sender, -error, "the archive cannot be written");
}

/* Those that a receiver may give a file: what a user has put there, and the capabilities of a program. */
static size_t read_xattrs(struct sender *sender, int fd) {
  size_t count = 0, used = 0;
  ssize_t length = flistxattr(fd, sender->names, sizeof sender->names);
  for (char *name = sender->names; length > 0 && name < sender->names + length; name += strlen(name) + 1) {
    if (strncmp(name, "user.", 5) != 0 && strcmp(name, "security.capability") != 0) continue;
    if (count == TAR_XATTRS_MAX) break;
    ssize_t size = fgetxattr(fd, name, sender->values + used, sizeof sender->values - used);
    if (size < 0) continue;
    sender->xattrs[count++] = (struct tar_xattr){name, sender->values + used, (size_t)size};
    used += (size_t)size;
  }
  return count;
}

static int send_entry(struct sender *sender, const struct stat *status, enum tar_kind kind, int fd) {
  char detail[96];
  struct tar_entry entry = tar_pack_entry(status, kind, sender->path, sender->target);
  if (++sender->entries > sender->request->entries_max) {
    snprintf(detail, sizeof detail, "there are more than the limit of %u entries", sender->request->entries_max);
    return fail(sender, EFBIG, detail);
  }
  entry.xattrs = sender->xattrs;
  entry.xattr_count = fd < 0 ? 0 : read_xattrs(sender, fd);
  int error = tar_writer_entry(&sender->writer, &entry);
  return error < 0 ? send_failed(sender, error) : 0;
}

static int send_content(struct sender *sender, int fd, uint64_t size) {
  int unread = 0;
  int error = tar_pack_content(&sender->writer, fd, size, &unread);
  if (unread != 0) return fail(sender, unread, "it cannot be read");
  return error < 0 ? send_failed(sender, error) : 0;
}

static bool is_made_up(int fd) {
  struct statfs found;
  if (fstatfs(fd, &found) < 0) return false;
  switch ((unsigned long)found.f_type) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
    case DEVPTS_SUPER_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case BPF_FS_MAGIC:
    case SECURITYFS_MAGIC: return true;
    default: return false;
  }
}

/* 1: it was sent before, under another name. */
static int send_further_name(struct sender *sender, const struct stat *status) {
  int met = tar_pack_met(&sender->links, status, sender->path, sender->target, sizeof sender->target);
  if (met < 0) return fail(sender, -met, "memory");
  return met == 0 ? 0 : send_entry(sender, status, TAR_HARD_LINK, -1) < 0 ? -1 : 1;
}

static int send_file(struct sender *sender, int fd) {
  struct stat status;
  char detail[96];
  if (fstat(fd, &status) < 0) return fail(sender, errno, "it cannot be looked at");
  /* Another thing has taken its name. */
  if (!S_ISREG(status.st_mode)) return 0;
  if (is_made_up(fd)) return fail(sender, EINVAL, "the kernel makes it up while it is read: `berth exec NAME cat PATH` shows it");
  int sent = send_further_name(sender, &status);
  if (sent != 0) return sent < 0 ? -1 : 0;
  if (__builtin_add_overflow(sender->bytes, (uint64_t)status.st_size, &sender->bytes) ||
      sender->bytes > sender->request->bytes_max) {
    snprintf(detail, sizeof detail, "with it there are more than the limit of %llu bytes",
             (unsigned long long)sender->request->bytes_max);
    return fail(sender, EFBIG, detail);
  }
  if (send_entry(sender, &status, TAR_FILE, fd) < 0) return -1;
  return send_content(sender, fd, (uint64_t)status.st_size);
}

static int send_named(struct sender *sender, int parent, const char *name, dev_t device, int depth);

static int send_children(struct sender *sender, int directory, dev_t device, int depth) {
  size_t length = strlen(sender->path);
  int result = 0;
  DIR *entries = fdopendir(directory);
  if (entries == NULL) {
    close(directory);
    return fail(sender, errno, "it cannot be listed");
  }
  while (result == 0) {
    errno = 0;
    const struct dirent *entry = readdir(entries);
    if (entry == NULL && errno != 0) result = fail(sender, errno, "it cannot be listed");
    if (entry == NULL) break;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (length + strlen(entry->d_name) + 2 > sizeof sender->path) {
      result = fail(sender, ENAMETOOLONG, "what is in it has a path that is too long");
      break;
    }
    snprintf(sender->path + length, sizeof sender->path - length, "/%s", entry->d_name);
    result = send_named(sender, dirfd(entries), entry->d_name, device, depth);
    /* The failure names what failed. */
    sender->path[length] = '\0';
  }
  closedir(entries);
  return result;
}

/* Takes the descriptor over. `device`: of the directory that it lies in, 0 for the source itself. */
static int send_directory(struct sender *sender, int *directory, dev_t device, int depth) {
  struct stat status;
  if (fstat(*directory, &status) < 0) return fail(sender, errno, "it cannot be looked at");
  if (depth > DEPTH_MAX) return fail(sender, ELOOP, "it lies deeper than 256 directories");
  if (send_entry(sender, &status, TAR_DIRECTORY, *directory) < 0) return -1;
  if (device != 0 && status.st_dev != device && is_made_up(*directory)) return 0;
  return send_children(sender, steal_fd(directory), status.st_dev, depth + 1);
}

static int send_link(struct sender *sender, int parent, const char *name, const struct stat *status) {
  ssize_t length = readlinkat(parent, name, sender->target, sizeof sender->target - 1);
  if (length < 0) return errno == ENOENT || errno == EINVAL ? 0 : fail(sender, errno, "the link cannot be read");
  sender->target[length] = '\0';
  return send_entry(sender, status, TAR_SYMLINK, -1);
}

static int send_named(struct sender *sender, int parent, const char *name, dev_t device, int depth) {
  struct stat status;
  bool is_directory;
  if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
    return tar_pack_is_gone(errno) ? 0 : fail(sender, errno, "it cannot be looked at");
  switch (status.st_mode & S_IFMT) {
    case S_IFLNK: return send_link(sender, parent, name, &status);
    case S_IFCHR: return send_entry(sender, &status, TAR_CHARACTER_DEVICE, -1);
    case S_IFBLK: return send_entry(sender, &status, TAR_BLOCK_DEVICE, -1);
    case S_IFIFO: return send_entry(sender, &status, TAR_FIFO, -1);
    case S_IFDIR: is_directory = true; break;
    case S_IFREG: is_directory = false; break;
    default: return 0;
  }
  int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | (is_directory ? O_DIRECTORY : O_NONBLOCK | O_NOCTTY);
  OWNED_FD fd = openat(parent, name, flags);
  if (fd < 0) return tar_pack_is_gone(errno) ? 0 : fail(sender, errno, "it cannot be opened");
  return is_directory ? send_directory(sender, &fd, device, depth) : send_file(sender, fd);
}

static int open_source(const struct copy_out_request *request, int flags) {
  if (!request->follow) flags |= O_NOFOLLOW;
  if (request->root < 0) return open(request->path, flags | O_CLOEXEC);
  int fd = in_root_open_for(request->root, request->path, (uint64_t)(unsigned)flags);
  if (fd < 0) errno = -fd;
  return fd < 0 ? -1 : fd;
}

static int send_source_file(struct sender *sender, const struct stat *before) {
  struct stat status;
  OWNED_FD fd = open_source(sender->request, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return fail(sender, errno, "it cannot be opened");
  if (fstat(fd, &status) < 0 || status.st_ino != before->st_ino || status.st_dev != before->st_dev)
    return fail(sender, EAGAIN, "another file has taken its name meanwhile");
  return send_file(sender, fd);
}

static int send_source(struct sender *sender) {
  struct stat status;
  snprintf(sender->path, sizeof sender->path, "%s", sender->request->path);
  OWNED_FD source = open_source(sender->request, O_PATH);
  if (source < 0 || fstat(source, &status) < 0) return fail(sender, errno, "it cannot be found");
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode))
    return fail(sender, EINVAL, "a file, a directory or a symbolic link is expected");
  OWNED_FD directory = S_ISDIR(status.st_mode) ? openat(source, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (S_ISDIR(status.st_mode) && directory < 0) return fail(sender, errno, "it cannot be opened");
  snprintf(sender->path, sizeof sender->path, "%s", sender->request->name);
  if (S_ISDIR(status.st_mode)) return send_directory(sender, &directory, 0, 0);
  return S_ISLNK(status.st_mode) ? send_link(sender, source, "", &status) : send_source_file(sender, &status);
}

int copy_out(const struct copy_out_request *request, int fd, struct failure *failure) {
  struct sender *sender = calloc(1, sizeof *sender);
  if (sender == NULL) {
    *failure = (struct failure){.error = ENOMEM};
    return -1;
  }
  sender->request = request;
  sender->failure = failure;
  tar_writer_open(&sender->writer, fd);
  int result = send_source(sender);
  int error = result == 0 ? tar_writer_finish(&sender->writer) : 0;
  if (error < 0) result = send_failed(sender, error);
  tar_writer_close(&sender->writer);
  copied_links_free(&sender->links);
  free(sender);
  return result;
}
