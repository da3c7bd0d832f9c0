#include "unzstd.h"

#include <stddef.h>
#include <sys/mman.h>

#include "decode-flow.h"

/* The decoder that lives in memory it was given: it must not ask the kernel for any. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#define PIECE_BYTES (256u << 10)

int unzstd_open(struct unzstd *unzstd) {
  size_t length = ZSTD_estimateDStreamSize(UNZSTD_WINDOW_BYTES_MAX);
  unzstd->memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return unzstd->memory == MAP_FAILED ? -1 : 0;
}

static enum decode_end write_all(struct unzstd *unzstd, const uint8_t *bytes, size_t length) {
  unzstd->bytes_out += length;
  enum decode_end end = decode_density(unzstd->bytes_in, unzstd->bytes_out, unzstd->dense_from, unzstd->ratio_max);
  return end != DECODE_DONE ? end : decode_write(unzstd->to, bytes, length, &unzstd->error);
}

static enum decode_end read_piece(struct unzstd *unzstd, uint8_t *bytes, ZSTD_inBuffer *piece) {
  size_t got = 0;
  enum decode_end end = decode_read(unzstd->from, bytes, PIECE_BYTES, &got, &unzstd->error);
  unzstd->bytes_in += got;
  *piece = (ZSTD_inBuffer){.src = bytes, .size = got};
  return end;
}

/* All that a piece of the input gives: it is used up, and nothing is held back for lack of room. */
static enum decode_end decode_piece(struct unzstd *unzstd, ZSTD_DStream *stream, ZSTD_inBuffer *piece, size_t *wanted) {
  static uint8_t plain[PIECE_BYTES];
  ZSTD_outBuffer room;
  do {
    room = (ZSTD_outBuffer){.dst = plain, .size = sizeof plain};
    *wanted = ZSTD_decompressStream(stream, &room, piece);
    if (ZSTD_isError(*wanted)) return DECODE_DAMAGED;
    enum decode_end end = write_all(unzstd, plain, room.pos);
    if (end != DECODE_DONE) return end;
  } while (piece->pos < piece->size || room.pos == room.size);
  return DECODE_DONE;
}

enum decode_end unzstd(struct unzstd *unzstd) {
  static uint8_t encoded[PIECE_BYTES];
  ZSTD_DStream *stream = ZSTD_initStaticDStream(unzstd->memory, ZSTD_estimateDStreamSize(UNZSTD_WINDOW_BYTES_MAX));
  size_t wanted = 1; /* 0 behind a whole frame */
  if (stream == NULL) return DECODE_DAMAGED;
  for (;;) {
    ZSTD_inBuffer piece;
    enum decode_end end = read_piece(unzstd, encoded, &piece);
    if (end != DECODE_DONE) return end;
    if (piece.size == 0) return wanted == 0 ? DECODE_DONE : DECODE_CUT;
    if ((end = decode_piece(unzstd, stream, &piece, &wanted)) != DECODE_DONE) return end;
  }
}
