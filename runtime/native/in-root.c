#include "in-root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "kernel-abi.h"

#define LINKS_MAX 40
#define DEPTH_MAX 512

/* A rename beside us can make the kernel give up on ".." with EAGAIN: try again, but not for ever. */
int in_root_open_for(int root, const char *path, uint64_t flags) {
  int fd = -1;
  for (int tries = 0; tries < 64; tries++) {
    fd = sys_openat2(root, *path == '\0' ? "/" : path, flags | O_CLOEXEC, 0,
                     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    if (fd >= 0 || errno != EAGAIN) break;
  }
  return fd < 0 ? -errno : fd;
}

int in_root_open(int root, const char *path) { return in_root_open_for(root, path, O_PATH); }

/* Splits "a/b/c/" into "a/b" and "c"; false when nothing is left to make ("", "/", ends with ".."). */
static bool split(const char *path, char parent[PATH_MAX], char name[NAME_MAX + 1]) {
  size_t end = strlen(path);
  while (end > 0 && path[end - 1] == '/') end--;
  size_t start = end;
  while (start > 0 && path[start - 1] != '/') start--;
  if (end == start || end - start > NAME_MAX || start >= PATH_MAX) return false;
  memcpy(name, path + start, end - start);
  name[end - start] = '\0';
  memcpy(parent, path, start);
  parent[start] = '\0';
  return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int make(int directory, const char *name, enum in_root_kind kind, mode_t mode) {
  if (kind == IN_ROOT_DIRECTORY) return mkdirat(directory, name, mode) < 0 ? -errno : 0;
  int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) return -errno;
  close(fd);
  return 0;
}

struct making {
  int root;
  int links_left;
  int depth_left;
};

static int open_or_make(struct making *making, const char *path, enum in_root_kind kind, mode_t mode);

/* The name is a link to something that is missing: it is made where the link points, still inside the root. */
static int follow_and_make(struct making *making, int directory, const char *parent, const char *name,
                           enum in_root_kind kind, mode_t mode) {
  char target[PATH_MAX];
  char joined[PATH_MAX];
  if (making->links_left-- == 0) return -ELOOP;
  ssize_t length = readlinkat(directory, name, target, sizeof target - 1);
  if (length < 0) return errno == EINVAL ? -EEXIST : -errno;
  target[length] = '\0';
  size_t parent_length = target[0] == '/' ? 0 : strlen(parent);
  if (parent_length + (size_t)length >= sizeof joined) return -ENAMETOOLONG;
  memcpy(joined, parent, parent_length);
  memcpy(joined + parent_length, target, (size_t)length);
  joined[parent_length + (size_t)length] = '\0';
  return open_or_make(making, joined, kind, mode);
}

static int open_or_make(struct making *making, const char *path, enum in_root_kind kind, mode_t mode) {
  char parent[PATH_MAX];
  char name[NAME_MAX + 1];
  int found = in_root_open(making->root, path);
  if (found != -ENOENT || !split(path, parent, name)) return found;
  if (making->depth_left-- == 0) return -ELOOP;
  OWNED_FD directory = open_or_make(making, parent, IN_ROOT_DIRECTORY, 0755);
  if (directory < 0) return directory;
  int error = make(directory, name, kind, mode);
  if (error == -EEXIST) return follow_and_make(making, directory, parent, name, kind, mode);
  if (error < 0) return error;
  int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int in_root_open_or_make(int root, const char *path, enum in_root_kind kind, mode_t mode) {
  struct making making = {.root = root, .links_left = LINKS_MAX, .depth_left = DEPTH_MAX};
  return open_or_make(&making, path, kind, mode);
}

/* One name at a time, so that what was made is what the next name is looked up in. */
int beneath_open_or_make_dirs(int directory, const char *path, mode_t mode) {
  OWNED_FD current = fcntl(directory, F_DUPFD_CLOEXEC, 3);
  if (current < 0) return -errno;
  for (const char *at = path; *at != '\0';) {
    char name[NAME_MAX + 1];
    size_t length = strcspn(at, "/");
    if (length > NAME_MAX) return -ENAMETOOLONG;
    memcpy(name, at, length);
    name[length] = '\0';
    at += length + strspn(at + length, "/");
    if (length == 0 || strcmp(name, ".") == 0) continue;
    if (strcmp(name, "..") == 0) return -EINVAL;
    int next = openat(current, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0 && errno == ENOENT) {
      if (mkdirat(current, name, mode) < 0 && errno != EEXIST) return -errno;
      next = openat(current, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (next < 0) return -errno;
    close(current);
    current = next;
  }
  return steal_fd(&current);
}

int in_root_make_symlink(int root, const char *target, const char *path) {
  char parent[PATH_MAX];
  char name[NAME_MAX + 1];
  if (!split(path, parent, name)) return -EINVAL;
  OWNED_FD directory = in_root_open_or_make(root, parent, IN_ROOT_DIRECTORY, 0755);
  if (directory < 0) return directory;
  return symlinkat(target, directory, name) < 0 && errno != EEXIST ? -errno : 0;
}

int in_root_make_node(int root, const char *path, mode_t mode, dev_t rdev, uid_t uid, gid_t gid) {
  char parent[PATH_MAX];
  char name[NAME_MAX + 1];
  struct stat status;
  if (!split(path, parent, name)) return -EINVAL;
  OWNED_FD directory = in_root_open_or_make(root, parent, IN_ROOT_DIRECTORY, 0755);
  if (directory < 0) return directory;
  mode_t mask = umask(0);
  int made = mknodat(directory, name, mode, rdev);
  umask(mask);
  if (made < 0) {
    if (errno != EEXIST) return -errno;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return -errno;
    return (status.st_mode & S_IFMT) == (mode & S_IFMT) && status.st_rdev == rdev ? 0 : -EEXIST;
  }
  return fchownat(directory, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}
