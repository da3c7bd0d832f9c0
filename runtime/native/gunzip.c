#include "gunzip.h"

#define MAGIC_FIRST 0x1f
#define MAGIC_SECOND 0x8b
#define DEFLATE 8
#define FLAG_HEADER_SUM 2
#define FLAG_EXTRA 4
#define FLAG_NAME 8
#define FLAG_COMMENT 16
#define FLAGS_RESERVED 0xe0

static enum decode_end missing(int byte) { return byte == -1 ? DECODE_CUT : DECODE_CANNOT_READ; }

static enum decode_end take_number(struct inflate *inflate, unsigned bytes, uint32_t *number) {
  *number = 0;
  for (unsigned i = 0; i < bytes; i++) {
    int byte = inflate_take_byte(inflate);
    if (byte < 0) return missing(byte);
    *number |= (uint32_t)byte << 8 * i;
  }
  return DECODE_DONE;
}

static enum decode_end skip(struct inflate *inflate, uint32_t bytes) {
  for (; bytes > 0; bytes--) {
    int byte = inflate_take_byte(inflate);
    if (byte < 0) return missing(byte);
  }
  return DECODE_DONE;
}

static enum decode_end skip_text(struct inflate *inflate) {
  for (;;) {
    int byte = inflate_take_byte(inflate);
    if (byte <= 0) return byte == 0 ? DECODE_DONE : missing(byte);
  }
}

/* What stands behind the first byte. */
static enum decode_end take_header(struct inflate *inflate) {
  uint32_t start, ignored, extra;
  enum decode_end end = take_number(inflate, 3, &start);
  if (end != DECODE_DONE) return end;
  uint32_t flags = start >> 16;
  if ((start & 0xffff) != (MAGIC_SECOND | DEFLATE << 8) || flags & FLAGS_RESERVED) return DECODE_DAMAGED;
  if ((end = skip(inflate, 6)) != DECODE_DONE) return end;
  if (flags & FLAG_EXTRA) {
    if ((end = take_number(inflate, 2, &extra)) != DECODE_DONE) return end;
    if ((end = skip(inflate, extra)) != DECODE_DONE) return end;
  }
  if (flags & FLAG_NAME && (end = skip_text(inflate)) != DECODE_DONE) return end;
  if (flags & FLAG_COMMENT && (end = skip_text(inflate)) != DECODE_DONE) return end;
  return flags & FLAG_HEADER_SUM ? take_number(inflate, 2, &ignored) : DECODE_DONE;
}

static enum decode_end take_member(struct inflate *inflate) {
  uint32_t sum, length;
  struct inflate_output *output = &inflate->output;
  enum decode_end end = take_header(inflate);
  if (end != DECODE_DONE) return end;
  output->begin = output->unsent = output->at;
  output->sum = 0;
  inflate->member_bytes = 0;
  if ((end = inflate_blocks(inflate)) != DECODE_DONE) return end;
  if ((end = inflate_flush(inflate)) != DECODE_DONE) return end;
  if ((end = inflate_align(inflate)) != DECODE_DONE) return end;
  if ((end = take_number(inflate, 4, &sum)) != DECODE_DONE) return end;
  if ((end = take_number(inflate, 4, &length)) != DECODE_DONE) return end;
  return sum == output->sum && length == (uint32_t)inflate->member_bytes ? DECODE_DONE : DECODE_DAMAGED;
}

enum decode_end gunzip(struct inflate *inflate) {
  bool has_member = false, has_zeros = false;
  for (;;) {
    int byte = inflate_take_byte(inflate);
    if (byte == -1) return has_member ? DECODE_DONE : DECODE_CUT;
    if (byte == -2) return DECODE_CANNOT_READ;
    if (byte == 0 && has_member) {
      has_zeros = true;
      continue;
    }
    if (byte != MAGIC_FIRST || has_zeros) return DECODE_DAMAGED;
    enum decode_end end = take_member(inflate);
    if (end != DECODE_DONE) return end;
    has_member = true;
  }
}
