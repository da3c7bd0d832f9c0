/* DEFLATE (RFC 1951), from one descriptor to another, with no system calls but read and write and no memory but its own. */
#ifndef BERTH_INFLATE_H
#define BERTH_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "decode-end.h"

#define INFLATE_INPUT_BYTES (256u << 10)
#define INFLATE_WINDOW_BYTES 32768u
#define INFLATE_OUTPUT_BYTES (256u << 10)
/* Bytes before the input that stay, so that whole bytes can be given back; and how far a copy may write past its end. */
#define INFLATE_KEPT_BYTES 8u
#define INFLATE_SLACK_BYTES 320u

/* What was taken from the input and not yet used, the next bit lowest, and where the rest begins. */
struct inflate_bits {
  uint64_t held;
  unsigned count;
  const uint8_t *at;
};

struct inflate_input {
  int fd;
  bool is_over;
  unsigned pretended; /* zero bytes behind the end that `bits` holds */
  struct inflate_bits bits;
  const uint8_t *end;
  uint8_t buffer[INFLATE_KEPT_BYTES + INFLATE_INPUT_BYTES];
};

struct inflate_output {
  int fd;
  uint32_t sum;  /* CRC-32 of what the member gave and was written */
  size_t begin;  /* of the member, as far as the window still has it */
  size_t unsent; /* begin of what was not written yet */
  size_t at;
  uint8_t buffer[INFLATE_WINDOW_BYTES + INFLATE_OUTPUT_BYTES + INFLATE_SLACK_BYTES];
};

struct inflate {
  uint64_t dense_from; /* bytes of output beyond which there must be no more than `ratio_max` for one of input */
  uint32_t ratio_max;
  uint64_t bytes_in;
  uint64_t bytes_out;
  uint64_t member_bytes;
  int error;
  struct inflate_input input;
  struct inflate_output output;
};

/* The blocks up to the last one; the input stands behind its last bit then. */
enum decode_end inflate_blocks(struct inflate *inflate);

/* For the containers of such streams. A byte at a byte's border: 0 to 255, -1 at the end of the input, -2 on an error. */
int inflate_take_byte(struct inflate *inflate);
/* Drops the rest of a byte and gives back whole bytes that were only looked at. */
enum decode_end inflate_align(struct inflate *inflate);
enum decode_end inflate_flush(struct inflate *inflate);

#endif
