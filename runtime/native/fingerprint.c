#include "fingerprint.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "sha256.h"

static bool next_group(struct wire_reader *body, uint32_t *files) {
  if (body->broken || body->at == body->end) return false;
  *files = wire_u32(body);
  return !body->broken;
}

size_t fingerprint_groups(const void *body, size_t length) {
  struct wire_reader groups = wire_reader_of(body, length);
  size_t count = 0;
  uint32_t files;
  for (; next_group(&groups, &files); count++) {
    for (uint32_t i = 0; i < files && !groups.broken; i++) {
      if (wire_u32(&groups) > BERTH_PRINT_STATUS) return 0;
      wire_string(&groups);
    }
  }
  return wire_is_done(&groups) ? count : 0;
}

static void add_number(struct sha256 *hash, uint64_t number) { sha256_add(hash, &number, sizeof number); }

static void add_status(struct sha256 *hash, const char *path) {
  struct stat status;
  if (stat(path, &status) < 0) {
    add_number(hash, (uint64_t)errno);
    return;
  }
  const uint64_t fields[] = {status.st_dev, status.st_ino, (uint64_t)status.st_size, (uint64_t)status.st_ctim.tv_sec,
                             (uint64_t)status.st_ctim.tv_nsec};
  sha256_add(hash, fields, sizeof fields);
}

static void add_content(struct sha256 *hash, const char *path) {
  static uint8_t bytes[65536];
  OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  uint64_t total = 0;
  ssize_t got = fd;
  while (fd >= 0 && (got = read(fd, bytes, sizeof bytes)) > 0) {
    sha256_add(hash, bytes, (size_t)got);
    total += (uint64_t)got;
  }
  add_number(hash, got < 0 ? (uint64_t)errno : 0);
  add_number(hash, total);
}

void fingerprint_take(const void *body, size_t length, struct wire_writer *prints) {
  struct wire_reader groups = wire_reader_of(body, length);
  uint32_t files;
  while (next_group(&groups, &files)) {
    struct sha256 hash;
    uint8_t digest[SHA256_BYTES];
    sha256_begin(&hash);
    for (uint32_t i = 0; i < files; i++) {
      uint32_t kind = wire_u32(&groups);
      const char *path = wire_string(&groups);
      if (kind == BERTH_PRINT_STATUS) add_status(&hash, path);
      else add_content(&hash, path);
    }
    sha256_end(&hash, digest);
    if (prints->length + FINGERPRINT_BYTES > prints->capacity) return;
    __builtin_memcpy(prints->bytes + prints->length, digest, FINGERPRINT_BYTES);
    prints->length += FINGERPRINT_BYTES;
  }
}
