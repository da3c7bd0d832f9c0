#include "copy-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH_MAX 512
#define XATTR_BYTES_MAX 65536
#define COPY_CHUNK (64 * 1024 * 1024)

/* A file with several names is copied once; its further names become links to the first copy. */
struct linked {
  dev_t device;
  ino_t inode;
  char *path;
};

struct copy {
  int destination_root;
  struct linked *linked;
  size_t linked_count;
  size_t linked_room;
  char path[PATH_MAX];
  char *object;
  size_t object_size;
};

static int copy_directory(struct copy *copy, int source, int destination, size_t path_length, int depth);

static int fail(struct copy *copy, int error) {
  if (copy->object_size > 0 && copy->object[0] == '\0')
    snprintf(copy->object, copy->object_size, "%s", copy->path);
  return error;
}

/* File capabilities go with the rest: chown clears them, so this comes after it. */
static int copy_xattrs(int source, int destination) {
  char names[XATTR_BYTES_MAX];
  char value[XATTR_BYTES_MAX];
  ssize_t length = flistxattr(source, names, sizeof names);
  if (length < 0) return errno == ENOTSUP ? 0 : -errno;
  for (char *name = names; name < names + length; name += strlen(name) + 1) {
    if (strncmp(name, "trusted.overlay.", 16) == 0) continue;
    ssize_t size = fgetxattr(source, name, value, sizeof value);
    if (size < 0) return -errno;
    if (fsetxattr(destination, name, value, (size_t)size, 0) < 0 && errno != ENOTSUP) return -errno;
  }
  return 0;
}

static int copy_attributes(int source, int destination, const struct stat *status) {
  if (fchown(destination, status->st_uid, status->st_gid) < 0) return -errno;
  if (fchmod(destination, status->st_mode & 07777) < 0) return -errno;
  int error = copy_xattrs(source, destination);
  if (error < 0) return error;
  const struct timespec times[2] = {status->st_atim, status->st_mtim};
  return futimens(destination, times) < 0 ? -errno : 0;
}

static int copy_content(int source, int destination) {
  for (;;) {
    ssize_t copied = copy_file_range(source, NULL, destination, NULL, COPY_CHUNK, 0);
    if (copied == 0) return 0;
    if (copied > 0) continue;
    if (errno == EINTR) continue;
    if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS) return -errno;
    break;
  }
  char buffer[65536];
  for (;;) {
    ssize_t count = read(source, buffer, sizeof buffer);
    if (count == 0) return 0;
    if (count < 0) {
      if (errno == EINTR) continue;
      return -errno;
    }
    for (ssize_t done = 0; done < count;) {
      ssize_t written = write(destination, buffer + done, (size_t)(count - done));
      if (written < 0 && errno != EINTR) return -errno;
      if (written > 0) done += written;
    }
  }
}

static int copy_file(int source_dir, int destination_dir, const char *name, const struct stat *status) {
  int source = openat(source_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (source < 0) return -errno;
  int destination = openat(destination_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  int error = destination < 0 ? -errno : copy_content(source, destination);
  if (error == 0) error = copy_attributes(source, destination, status);
  if (destination >= 0) close(destination);
  close(source);
  return error;
}

static int copy_symlink(int source_dir, int destination_dir, const char *name, const struct stat *status) {
  char target[PATH_MAX];
  ssize_t length = readlinkat(source_dir, name, target, sizeof target - 1);
  if (length < 0) return -errno;
  target[length] = '\0';
  if (symlinkat(target, destination_dir, name) < 0) return -errno;
  if (fchownat(destination_dir, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
  const struct timespec times[2] = {status->st_atim, status->st_mtim};
  return utimensat(destination_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int copy_node(int destination_dir, const char *name, const struct stat *status) {
  if (S_ISSOCK(status->st_mode)) return 0;
  /* A whiteout seen in a single layer stands for nothing. */
  if (S_ISCHR(status->st_mode) && status->st_rdev == makedev(0, 0)) return 0;
  if (mknodat(destination_dir, name, status->st_mode, status->st_rdev) < 0) return -errno;
  if (fchownat(destination_dir, name, status->st_uid, status->st_gid, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
  return fchmodat(destination_dir, name, status->st_mode & 07777, 0) < 0 ? -errno : 0;
}

static int copy_subdirectory(struct copy *copy, int source_dir, int destination_dir, const char *name,
                             const struct stat *status, size_t path_length, int depth) {
  if (depth >= DEPTH_MAX) return -ELOOP;
  int source = openat(source_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (source < 0) return -errno;
  int destination = -1;
  int error = mkdirat(destination_dir, name, 0700) < 0 ? -errno : 0;
  if (error == 0) {
    destination = openat(destination_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (destination < 0) error = -errno;
  }
  if (error == 0) error = copy_directory(copy, source, destination, path_length, depth + 1);
  if (error == 0) error = copy_attributes(source, destination, status);
  if (destination >= 0) close(destination);
  close(source);
  return error;
}

static const char *first_copy(const struct copy *copy, const struct stat *status) {
  for (size_t i = 0; i < copy->linked_count; i++)
    if (copy->linked[i].inode == status->st_ino && copy->linked[i].device == status->st_dev)
      return copy->linked[i].path;
  return NULL;
}

static int remember_copy(struct copy *copy, const struct stat *status) {
  if (copy->linked_count == copy->linked_room) {
    size_t room = copy->linked_room == 0 ? 64 : copy->linked_room * 2;
    struct linked *grown = reallocarray(copy->linked, room, sizeof *grown);
    if (grown == NULL) return -ENOMEM;
    copy->linked = grown;
    copy->linked_room = room;
  }
  char *path = strdup(copy->path);
  if (path == NULL) return -ENOMEM;
  copy->linked[copy->linked_count++] = (struct linked){status->st_dev, status->st_ino, path};
  return 0;
}

static int copy_entry(struct copy *copy, int source_dir, int destination_dir, const char *name, size_t path_length,
                      int depth) {
  struct stat status;
  if (fstatat(source_dir, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
  if (S_ISDIR(status.st_mode))
    return copy_subdirectory(copy, source_dir, destination_dir, name, &status, path_length, depth);
  if (status.st_nlink > 1) {
    const char *first = first_copy(copy, &status);
    if (first != NULL)
      return linkat(copy->destination_root, first, destination_dir, name, 0) < 0 ? -errno : 0;
    int error = remember_copy(copy, &status);
    if (error < 0) return error;
  }
  if (S_ISREG(status.st_mode)) return copy_file(source_dir, destination_dir, name, &status);
  if (S_ISLNK(status.st_mode)) return copy_symlink(source_dir, destination_dir, name, &status);
  return copy_node(destination_dir, name, &status);
}

static int copy_directory(struct copy *copy, int source, int destination, size_t path_length, int depth) {
  int listing = openat(source, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (listing < 0) return fail(copy, -errno);
  DIR *entries = fdopendir(listing);
  if (entries == NULL) {
    close(listing);
    return fail(copy, -ENOMEM);
  }
  int error = 0;
  for (struct dirent *entry; error == 0 && (entry = readdir(entries)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    size_t length = strlen(entry->d_name);
    if (path_length + length + 2 > sizeof copy->path) {
      error = fail(copy, -ENAMETOOLONG);
      break;
    }
    size_t end = path_length;
    if (end > 0) copy->path[end++] = '/';
    memcpy(copy->path + end, entry->d_name, length + 1);
    error = copy_entry(copy, source, destination, entry->d_name, end + length, depth);
    if (error < 0) fail(copy, error);
    copy->path[path_length] = '\0';
  }
  closedir(entries);
  return error;
}

int copy_tree(int source, int destination, char *object, size_t object_size) {
  struct copy copy = {.destination_root = destination, .object = object, .object_size = object_size};
  if (object_size > 0) object[0] = '\0';
  struct stat status;
  int error = fstat(source, &status) < 0 ? -errno : copy_directory(&copy, source, destination, 0, 0);
  if (error == 0) error = copy_attributes(source, destination, &status);
  for (size_t i = 0; i < copy.linked_count; i++) free(copy.linked[i].path);
  free(copy.linked);
  return error;
}
