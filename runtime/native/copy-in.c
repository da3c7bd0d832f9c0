#include "copy-in.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "copy-receiver.h"
#include "in-root.h"
#include "kernel-abi.h"

int receiver_fails(struct receiver *receiver, int error, const char *object, const char *detail) {
  struct failure *failure = receiver->failure;
  failure->error = error;
  snprintf(failure->object, sizeof failure->object, "%.*s", (int)sizeof failure->object - 1, object);
  snprintf(failure->detail, sizeof failure->detail, "%s", detail);
  return -1;
}

bool receiver_has(const struct receiver *receiver, uint32_t flag) { return (receiver->request->flags & flag) != 0; }

bool receiver_is_host(const struct receiver *receiver) { return receiver->request->root < 0; }

static int leave_level(struct receiver *receiver) {
  struct level *level = &receiver->levels[receiver->depth - 1];
  int result = level->is_made ? receiver_dress(receiver, level->fd, level, receiver->path) : 0;
  close(level->fd);
  receiver->depth--;
  if (receiver->depth > 0) receiver->path[receiver->levels[receiver->depth - 1].path_length] = '\0';
  return result;
}

/* Takes the descriptor over. */
int receiver_push(struct receiver *receiver, int fd, const char *path, struct level level) {
  if (receiver->depth == LAYER_DEPTH_MAX + 2) {
    close(fd);
    return receiver_fails(receiver, ELOOP, path, "it lies too deep");
  }
  level.fd = fd;
  level.path_length = strlen(path);
  memmove(receiver->path, path, level.path_length + 1);
  receiver->levels[receiver->depth++] = level;
  return 0;
}

/* In an archive of the user's own, links count as the container sees them. A copy comes from real directories. */
int receiver_open_beneath(const struct receiver *receiver, const char *path) {
  char whole[PATH_MAX * 2];
  if (!receiver_has(receiver, BERTH_COPY_EXTRACT) || receiver_is_host(receiver)) {
    return sys_openat2(receiver->levels[0].fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
                       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
  }
  snprintf(whole, sizeof whole, "%s/%s", receiver->request->path, path);
  int fd = in_root_open_or_make(receiver->request->root, whole, IN_ROOT_DIRECTORY, 0755);
  if (fd < 0) errno = -fd;
  return fd < 0 ? -1 : fd;
}

/* The directory of an entry, which this receiver keeps. */
static int enter(struct receiver *receiver, const char *path, size_t length) {
  char parent[PATH_MAX];
  if (receiver->elsewhere >= 0) drop_fd(&receiver->elsewhere);
  for (;;) {
    const struct level *top = &receiver->levels[receiver->depth - 1];
    bool is_above = top->path_length == 0 || (strncmp(path, receiver->path, top->path_length) == 0 &&
                                              (path[top->path_length] == '/' || length == top->path_length));
    if (is_above && top->path_length == length) return top->fd;
    if (is_above) break;
    if (leave_level(receiver) < 0) return -1;
  }
  memcpy(parent, path, length);
  parent[length] = '\0';
  receiver->elsewhere = receiver_open_beneath(receiver, parent);
  if (receiver->elsewhere >= 0) return receiver->elsewhere;
  return receiver_fails(receiver, errno, parent, "the directory cannot be opened");
}

static int open_path(const struct copy_in_request *request, const char *path, int flags) {
  if (request->root < 0) return open(path, flags | O_CLOEXEC);
  int fd = in_root_open_for(request->root, path, (uint64_t)(unsigned)flags);
  if (fd < 0) errno = -fd;
  return fd < 0 ? -1 : fd;
}

/* "a/b//" becomes "a" and "b"; -1 for a path that does not end with a name. */
static int split(const char *path, char parent[PATH_MAX], char name[NAME_MAX + 1]) {
  size_t end = strlen(path);
  while (end > 0 && path[end - 1] == '/') end--;
  size_t start = end;
  while (start > 0 && path[start - 1] != '/') start--;
  if (end == start || end - start > NAME_MAX || start >= PATH_MAX - 1) return -1;
  memcpy(name, path + start, end - start);
  name[end - start] = '\0';
  memcpy(parent, start == 0 ? "." : path, start == 0 ? 1 : start);
  parent[start == 0 ? 1 : start] = '\0';
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ? -1 : 0;
}

/* The entry itself, and for a directory the first level, which has no path below the destination. */
static int put(struct receiver *receiver, int parent, const char *name, const struct tar_entry *entry) {
  if (entry->kind == TAR_HARD_LINK) return receiver_fails(receiver, EBADMSG, name, "the source is a hard link");
  if (receiver_make(receiver, parent, name, entry, name) < 0) return -1;
  receiver->is_closed = entry->kind != TAR_DIRECTORY;
  if (receiver->depth == 0) return 0;
  receiver->levels[0].path_length = 0;
  receiver->path[0] = '\0';
  return 0;
}

static int put_into(struct receiver *receiver, int destination, const struct tar_entry *entry) {
  const struct copy_in_request *request = receiver->request;
  bool has_name = request->name[0] != '\0' && strchr(request->name, '/') == NULL && strcmp(request->name, ".") != 0 &&
                  strcmp(request->name, "..") != 0;
  if (entry->kind != TAR_DIRECTORY || (has_name && !receiver_has(receiver, BERTH_COPY_CONTENTS))) {
    if (!has_name) return receiver_fails(receiver, EINVAL, request->path, "the source has no name to be copied under");
    return put(receiver, destination, request->name, entry);
  }
  int fd = openat(destination, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return receiver_fails(receiver, errno, request->path, "the directory cannot be opened");
  return receiver_push(receiver, fd, "", (struct level){.is_made = false});
}

static int put_over(struct receiver *receiver, const struct tar_entry *entry) {
  const char *path = receiver->request->path;
  char parent[PATH_MAX], name[NAME_MAX + 1];
  struct stat status;
  if (entry->kind == TAR_DIRECTORY) return receiver_fails(receiver, ENOTDIR, path, "a directory cannot be copied onto a file");
  if (split(path, parent, name) < 0) return receiver_fails(receiver, EINVAL, path, "it ends with no name");
  OWNED_FD directory = open_path(receiver->request, parent, O_PATH | O_DIRECTORY);
  if (directory < 0) return receiver_fails(receiver, errno, path, "its directory cannot be opened");
  bool is_link = fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
  if (!is_link || entry->kind != TAR_FILE) return put(receiver, directory, name, entry);
  OWNED_FD fd = open_path(receiver->request, path, O_WRONLY | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return receiver_fails(receiver, errno, path, "what it links to cannot be opened");
  receiver->is_closed = true;
  return receiver_write_in_place(receiver, fd, entry, path);
}

static int put_new(struct receiver *receiver, const struct tar_entry *entry) {
  const char *path = receiver->request->path;
  char parent[PATH_MAX], name[NAME_MAX + 1];
  struct stat status;
  size_t length = strlen(path);
  if (length > 0 && path[length - 1] == '/' && entry->kind != TAR_DIRECTORY)
    return receiver_fails(receiver, ENOENT, path, "the directory has to exist");
  if (split(path, parent, name) < 0) return receiver_fails(receiver, ENOENT, path, "it cannot be found");
  OWNED_FD directory = open_path(receiver->request, parent, O_PATH | O_DIRECTORY);
  if (directory < 0) return receiver_fails(receiver, errno, path, "the directory that it is in has to exist");
  if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
    return receiver_fails(receiver, ENOENT, path, "it is a symbolic link that leads nowhere");
  return put(receiver, directory, name, entry);
}

/* The rules of docker-cp(1), by what the source is and by what is at the destination. */
static int place_source(struct receiver *receiver, const struct tar_entry *entry) {
  struct stat status;
  OWNED_FD destination = open_path(receiver->request, receiver->request->path, O_PATH);
  if (destination < 0 && errno == ENOENT) return put_new(receiver, entry);
  if (destination < 0 || fstat(destination, &status) < 0)
    return receiver_fails(receiver, errno, receiver->request->path, "the destination cannot be opened");
  return S_ISDIR(status.st_mode) ? put_into(receiver, destination, entry) : put_over(receiver, entry);
}

static int open_destination(struct receiver *receiver) {
  const char *path = receiver->request->path;
  OWNED_FD fd = open_path(receiver->request, path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return receiver_fails(receiver, errno, path, "a directory that exists is expected");
  return receiver_push(receiver, steal_fd(&fd), "", (struct level){.is_made = false});
}

static int check_limits(struct receiver *receiver, const struct tar_entry *entry, const char *path) {
  const struct copy_in_request *request = receiver->request;
  char detail[96];
  if (++receiver->entries > request->entries_max) {
    snprintf(detail, sizeof detail, "there are more than the limit of %u entries", request->entries_max);
    return receiver_fails(receiver, EFBIG, path, detail);
  }
  uint64_t size = entry->kind == TAR_FILE ? entry->size : 0;
  if (!__builtin_add_overflow(receiver->bytes, size, &receiver->bytes) && receiver->bytes <= request->bytes_max)
    return 0;
  snprintf(detail, sizeof detail, "with it there are more than the limit of %llu bytes",
           (unsigned long long)request->bytes_max);
  return receiver_fails(receiver, EFBIG, path, detail);
}

static int take(struct receiver *receiver, const struct tar_entry *entry) {
  char path[PATH_MAX];
  if (layer_path_clean(entry->path, path, receiver->failure) < 0) return -1;
  if (check_limits(receiver, entry, path) < 0) return -1;
  if (path[0] == '\0' && receiver->depth == 0 && !receiver->is_closed) return place_source(receiver, entry);
  if (path[0] == '\0') {
    bool is_allowed = receiver_has(receiver, BERTH_COPY_EXTRACT) && entry->kind == TAR_DIRECTORY;
    return is_allowed ? 0 : receiver_fails(receiver, EBADMSG, "", "the source comes a second time");
  }
  if (receiver->depth == 0) return receiver_fails(receiver, EBADMSG, path, "it comes before its directory");
  const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
  int parent = enter(receiver, path, slash == NULL ? 0 : (size_t)(slash - path));
  return parent < 0 ? -1 : receiver_make(receiver, parent, name, entry, path);
}

/* What follows the archive is read, so that its writer is not told of a broken pipe. */
static void drain(int fd) {
  uint8_t bytes[65536];
  for (int reads = 0; reads < 1024; reads++)
    if (read(fd, bytes, sizeof bytes) <= 0) return;
}

static uint64_t archive_bytes_max(const struct copy_in_request *request) {
  uint64_t overhead = (64u << 20) + (uint64_t)request->entries_max * 4096, sum;
  return __builtin_add_overflow(request->bytes_max, overhead, &sum) ? UINT64_MAX : sum;
}

static int receive(struct receiver *receiver, int fd) {
  struct tar_entry entry;
  int got = 1;
  if (receiver_has(receiver, BERTH_COPY_EXTRACT) && open_destination(receiver) < 0) return -1;
  if (tar_open(&receiver->reader, fd, archive_bytes_max(receiver->request), receiver->failure) < 0) return -1;
  while (got > 0) {
    got = tar_next(&receiver->reader, &entry);
    if (got > 0 && take(receiver, &entry) < 0) got = -1;
  }
  tar_close(&receiver->reader);
  /* What was made until a failure is left as it is to be; the failure is the one to tell. */
  struct failure first = *receiver->failure;
  while (receiver->depth > 0)
    if (leave_level(receiver) < 0 && got == 0) {
      first = *receiver->failure;
      got = -1;
    }
  if (got < 0) *receiver->failure = first;
  if (got == 0 && receiver->entries == 0 && !receiver_has(receiver, BERTH_COPY_EXTRACT))
    got = receiver_fails(receiver, EBADMSG, "", "nothing was sent");
  if (got == 0) drain(fd);
  return got;
}

int copy_in(const struct copy_in_request *request, int fd, struct failure *failure) {
  struct receiver *receiver = calloc(1, sizeof *receiver);
  if (receiver == NULL) {
    *failure = (struct failure){.error = ENOMEM};
    return -1;
  }
  receiver->request = request;
  receiver->failure = failure;
  receiver->elsewhere = -1;
  int result = receive(receiver, fd);
  drop_fd(&receiver->elsewhere);
  free(receiver);
  return result;
}
