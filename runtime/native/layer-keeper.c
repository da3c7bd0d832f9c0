#include "layer-keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "sha256.h"

#define PIECE_BYTES (1u << 20)
#define READ_BYTES (256u << 10)
#define DIRECT_ALIGNMENT 4096

static bool set_direct(int file, bool on) {
  int flags = fcntl(file, F_GETFL);
  return flags >= 0 && fcntl(file, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

static int write_piece(int file, const uint8_t *bytes, size_t length, bool *direct) {
  if (*direct && length % DIRECT_ALIGNMENT != 0 && set_direct(file, false)) *direct = false;
  while (length > 0) {
    ssize_t put = write(file, bytes, length);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EINVAL && *direct && set_direct(file, false)) {
      *direct = false;
      continue;
    }
    if (put < 0) return errno;
    bytes += put;
    length -= (size_t)put;
    /* What is left of a short write need not be aligned. */
    if (length % DIRECT_ALIGNMENT != 0 && *direct && set_direct(file, false)) *direct = false;
  }
  return 0;
}

static int copy_all(int from, int file, int to, uint8_t *piece, struct sha256 *hash) {
  bool direct = file >= 0 && set_direct(file, true);
  size_t held = 0;
  for (;;) {
    size_t room = PIECE_BYTES - held < READ_BYTES ? PIECE_BYTES - held : READ_BYTES;
    ssize_t got = read(from, piece + held, room);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    sha256_add(hash, piece + held, (size_t)got);
    int error = wire_write_all(to, piece + held, (size_t)got);
    if (error < 0) return -error;
    held += (size_t)got;
    if (file >= 0 && (held == PIECE_BYTES || got == 0) && (error = write_piece(file, piece, held, &direct)) != 0)
      return error;
    if (got == 0) return 0;
    if (held == PIECE_BYTES) held = 0;
  }
}

void layer_keep(int from, int file, int to, struct keeper_report *report) {
  struct sha256 hash;
  uint8_t *piece = aligned_alloc(DIRECT_ALIGNMENT, PIECE_BYTES);
  sha256_begin(&hash);
  report->error = piece == NULL ? ENOMEM : copy_all(from, file, to, piece, &hash);
  /* Who decodes goes on while the file gets to the disk. */
  close(to);
  if (report->error == 0 && file >= 0 && fsync(file) < 0) report->error = errno;
  report->origin.bytes = hash.length;
  sha256_end(&hash, report->origin.digest);
  free(piece);
}
