#include "tree-changes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "layer-tree.h"
#include "wire.h"

#define DEPTH_MAX 512
#define BATCH_BYTES 65536

struct changes {
  const struct tree_changes_request *request;
  uint64_t deadline_ms;
  uint64_t bytes;
  char path[PATH_MAX];
  uint8_t batch[BATCH_BYTES];
  size_t batched;
};

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int flush(struct changes *changes) {
  uint8_t body[BATCH_BYTES + 16];
  struct wire_writer writer = wire_writer_of(body, sizeof body);
  if (changes->batched == 0) return 0;
  wire_put_bytes(&writer, changes->batch, changes->batched);
  changes->batched = 0;
  return wire_send(changes->request->report_fd, changes->request->id, BERTH_MSG_CHANGES, body, writer.length);
}

/* The letter, the path and a NUL. */
static int report(struct changes *changes, char letter) {
  size_t length = strlen(changes->path) + 2;
  changes->bytes += length;
  if (changes->bytes > changes->request->bytes_max) return -E2BIG;
  if (now_ms() > changes->deadline_ms) return -ETIMEDOUT;
  if (changes->batched + length > sizeof changes->batch) {
    int error = flush(changes);
    if (error < 0) return error;
  }
  changes->batch[changes->batched] = (uint8_t)letter;
  memcpy(changes->batch + changes->batched + 1, changes->path, length - 1);
  changes->batched += length;
  return 0;
}

static bool is_whiteout(const struct stat *status) { return S_ISCHR(status->st_mode) && status->st_rdev == 0; }

/* A lower tree of one layer is that layer's directory: its whiteouts hide nothing, and are no files either. */
static bool is_there(int directory, const char *name, struct stat *status) {
  if (directory < 0 || fstatat(directory, name, status, AT_SYMLINK_NOFOLLOW) < 0) return false;
  return !is_whiteout(status);
}

static int open_directory(int parent, const char *name) {
  return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

typedef int visit(struct changes *changes, int directory, int other, const char *name, int depth);

/* Calls for each name of `directory`, with its path in place. */
static int for_each(struct changes *changes, int directory, int other, int depth, visit *call) {
  size_t length = strlen(changes->path);
  int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = copy < 0 ? NULL : fdopendir(copy);
  if (entries == NULL) {
    int error = -errno;
    if (copy >= 0) close(copy);
    return error;
  }
  int error = 0;
  const struct dirent *entry;
  while (error == 0 && (entry = readdir(entries)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (length + strlen(entry->d_name) + 2 > sizeof changes->path) {
      error = -ENAMETOOLONG;
      break;
    }
    snprintf(changes->path + length, sizeof changes->path - length, "/%s", entry->d_name);
    error = call(changes, directory, other, entry->d_name, depth);
    if (error == 0) changes->path[length] = '\0';
  }
  closedir(entries);
  return error;
}

static int report_hidden(struct changes *changes, int lower, int upper, const char *name, int depth) {
  struct stat status;
  (void)depth;
  if (!is_there(lower, name, &status) || fstatat(upper, name, &status, AT_SYMLINK_NOFOLLOW) == 0) return 0;
  return report(changes, 'D');
}

static bool is_opaque(int directory) {
  char value[4];
  return fgetxattr(directory, LAYER_OPAQUE_XATTR, value, sizeof value) == 1 && value[0] == 'y';
}

static int report_entry(struct changes *changes, int upper, int lower, const char *name, int depth) {
  struct stat status, below;
  if (fstatat(upper, name, &status, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 0 : -errno;
  bool was_there = is_there(lower, name, &below);
  if (is_whiteout(&status)) return was_there ? report(changes, 'D') : 0;
  int error = report(changes, was_there ? 'C' : 'A');
  if (error < 0 || !S_ISDIR(status.st_mode)) return error;
  if (depth == DEPTH_MAX) return -ELOOP;
  OWNED_FD directory = open_directory(upper, name);
  if (directory < 0) return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
  OWNED_FD under = was_there && S_ISDIR(below.st_mode) ? open_directory(lower, name) : -1;
  if (under >= 0 && is_opaque(directory)) error = for_each(changes, under, directory, depth, report_hidden);
  return error < 0 ? error : for_each(changes, directory, under, depth + 1, report_entry);
}

int tree_changes(const struct tree_changes_request *request, char *object, size_t object_size) {
  static struct changes changes;
  changes = (struct changes){.request = request, .deadline_ms = now_ms() + request->limit_ms};
  int error = for_each(&changes, request->upper, request->lower, 0, report_entry);
  if (error == 0) error = flush(&changes);
  if (error < 0) snprintf(object, object_size, "%.*s", (int)object_size - 1, changes.path);
  return error;
}
