#include "tar-pack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LINKS_BYTES_MAX (64u << 20)

struct tar_entry tar_pack_entry(const struct stat *status, enum tar_kind kind, const char *path, const char *target) {
  struct tar_entry entry = {.kind = kind, .path = path, .uid = status->st_uid, .gid = status->st_gid,
                            .mode = status->st_mode & 07777, .mtime = status->st_mtim};
  if (kind == TAR_SYMLINK || kind == TAR_HARD_LINK) entry.target = target;
  if (kind == TAR_FILE) entry.size = (uint64_t)status->st_size;
  if (kind == TAR_CHARACTER_DEVICE || kind == TAR_BLOCK_DEVICE) {
    entry.major = major(status->st_rdev);
    entry.minor = minor(status->st_rdev);
  }
  return entry;
}

int tar_pack_content(struct tar_writer *writer, int fd, uint64_t size, int *unread) {
  static uint8_t bytes[262144];
  uint64_t left = size;
  while (left > 0) {
    ssize_t got = read(fd, bytes, left < sizeof bytes ? (size_t)left : sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      *unread = errno;
      return 0;
    }
    if (got == 0) break;
    int error = tar_writer_content(writer, bytes, (uint64_t)got);
    if (error < 0) return error;
    left -= (uint64_t)got;
  }
  int error = tar_writer_content(writer, NULL, left);
  return error < 0 ? error : tar_writer_pad(writer, size);
}

int tar_pack_met(struct copied_links *links, const struct stat *status, const char *path, char *first, size_t first_size) {
  struct file_identity file = {status->st_dev, status->st_ino};
  if (status->st_nlink < 2) return 0;
  const struct copied_link *before = copied_links_find(links, file);
  if (before != NULL) {
    snprintf(first, first_size, "%s", before->path);
    return 1;
  }
  return links->path_bytes > LINKS_BYTES_MAX ? 0 : copied_links_add(links, file, file, path);
}

bool tar_pack_is_gone(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENXIO;
}
