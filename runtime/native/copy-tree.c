#include "copy-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "copied-links.h"
#include "kernel-abi.h"

#define DEPTH_MAX 512
#define XATTR_BYTES_MAX 65536
#define COPY_CHUNK ((size_t)64 * 1024 * 1024)

struct copy {
  int destination_root;
  /* A file with several names is copied once; its further names become links to the first copy. */
  struct copied_links links;
  uint64_t deadline_ms; /* of the monotonic clock; 0: none */
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

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int check_deadline(const struct copy *copy) {
  return copy->deadline_ms != 0 && now_ms() >= copy->deadline_ms ? -ETIMEDOUT : 0;
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

static int copy_content(const struct copy *copy, int source, int destination) {
  for (;;) {
    if (check_deadline(copy) < 0) return -ETIMEDOUT;
    ssize_t copied = copy_file_range(source, NULL, destination, NULL, COPY_CHUNK, 0);
    if (copied == 0) return 0;
    if (copied > 0) continue;
    if (errno == EINTR) continue;
    if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS) return -errno;
    break;
  }
  char buffer[65536];
  for (;;) {
    if (check_deadline(copy) < 0) return -ETIMEDOUT;
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

static int copy_file(const struct copy *copy, int source_dir, int destination_dir, const char *name,
                     const struct stat *status) {
  int source = openat(source_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (source < 0) return -errno;
  int destination = openat(destination_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  int error = destination < 0 ? -errno : copy_content(copy, source, destination);
  if (error == 0) error = copy_attributes(source, destination, status);
  if (destination >= 0) close(destination);
  close(source);
  return error;
}

/* What was just made under this name, held so that nothing put in its place afterwards is changed instead. */
static int open_made(int destination_dir, const char *name, mode_t type) {
  struct stat made;
  OWNED_FD fd = openat(destination_dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &made) < 0) return -errno;
  return (made.st_mode & S_IFMT) == type ? steal_fd(&fd) : -ESTALE;
}

static int change_mode(int fd, mode_t mode) {
  char path[32];
  if (sys_fchmodat2(fd, "", mode, AT_EMPTY_PATH) == 0) return 0;
  if (errno != ENOSYS) return -errno;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return chmod(path, mode) < 0 ? -errno : 0;
}

static int copy_symlink(int source_dir, int destination_dir, const char *name, const struct stat *status) {
  char target[PATH_MAX];
  ssize_t length = readlinkat(source_dir, name, target, sizeof target - 1);
  if (length < 0) return -errno;
  target[length] = '\0';
  if (symlinkat(target, destination_dir, name) < 0) return -errno;
  OWNED_FD made = open_made(destination_dir, name, S_IFLNK);
  if (made < 0) return made;
  if (fchownat(made, "", status->st_uid, status->st_gid, AT_EMPTY_PATH) < 0) return -errno;
  const struct timespec times[2] = {status->st_atim, status->st_mtim};
  return utimensat(made, "", times, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int copy_node(int destination_dir, const char *name, const struct stat *status) {
  if (mknodat(destination_dir, name, status->st_mode & (S_IFMT | 0777), status->st_rdev) < 0) return -errno;
  OWNED_FD made = open_made(destination_dir, name, status->st_mode & S_IFMT);
  if (made < 0) return made;
  if (fchownat(made, "", status->st_uid, status->st_gid, AT_EMPTY_PATH) < 0) return -errno;
  return change_mode(made, status->st_mode & 07777);
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

/* A whiteout seen in a single layer stands for nothing. */
static bool is_left_out(const struct stat *status) {
  if (S_ISSOCK(status->st_mode)) return true;
  return S_ISCHR(status->st_mode) && status->st_rdev == makedev(0, 0);
}

/* No part of the way to the first copy may be a link, and what is found there has to be that very file. */
static int link_to_copy(const struct copy *copy, const struct copied_link *first, int destination_dir,
                        const char *name) {
  struct stat found;
  char path[32];
  OWNED_FD fd = sys_openat2(copy->destination_root, first->path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
                            RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
  if (fd < 0 || fstat(fd, &found) < 0) return -errno;
  if (found.st_dev != first->copy.device || found.st_ino != first->copy.inode) return -ESTALE;
  if (linkat(fd, "", destination_dir, name, AT_EMPTY_PATH) == 0) return 0;
  /* ENOENT: without CAP_DAC_READ_SEARCH. */
  if (errno != ENOENT) return -errno;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return linkat(AT_FDCWD, path, destination_dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

static int copy_other(const struct copy *copy, int source_dir, int destination_dir, const char *name,
                      const struct stat *status) {
  if (S_ISREG(status->st_mode)) return copy_file(copy, source_dir, destination_dir, name, status);
  if (S_ISLNK(status->st_mode)) return copy_symlink(source_dir, destination_dir, name, status);
  return copy_node(destination_dir, name, status);
}

static int copy_entry(struct copy *copy, int source_dir, int destination_dir, const char *name, size_t path_length,
                      int depth) {
  struct stat status, made;
  if (check_deadline(copy) < 0) return -ETIMEDOUT;
  if (fstatat(source_dir, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
  if (S_ISDIR(status.st_mode))
    return copy_subdirectory(copy, source_dir, destination_dir, name, &status, path_length, depth);
  if (is_left_out(&status)) return 0;
  if (status.st_nlink < 2) return copy_other(copy, source_dir, destination_dir, name, &status);
  const struct file_identity source = {status.st_dev, status.st_ino};
  const struct copied_link *first = copied_links_find(&copy->links, source);
  if (first != NULL) return link_to_copy(copy, first, destination_dir, name);
  int error = copy_other(copy, source_dir, destination_dir, name, &status);
  if (error < 0) return error;
  if (fstatat(destination_dir, name, &made, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
  return copied_links_add(&copy->links, source, (struct file_identity){made.st_dev, made.st_ino}, copy->path);
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

int copy_tree(int source, int destination, uint32_t limit_ms, char *object, size_t object_size) {
  struct copy copy = {.destination_root = destination, .object = object, .object_size = object_size};
  if (limit_ms != 0) copy.deadline_ms = now_ms() + limit_ms;
  if (object_size > 0) object[0] = '\0';
  struct stat status;
  int error = fstat(source, &status) < 0 ? -errno : copy_directory(&copy, source, destination, 0, 0);
  if (error == 0) error = copy_attributes(source, destination, &status);
  /* The caller may make it visible next: a power cut must not leave names without what they hold. */
  if (error == 0 && syncfs(destination) < 0) error = -errno;
  copied_links_free(&copy.links);
  return error;
}

int copy_directory_attributes(int source, int destination) {
  struct stat status;
  if (fstat(source, &status) < 0) return -errno;
  return copy_attributes(source, destination, &status);
}
