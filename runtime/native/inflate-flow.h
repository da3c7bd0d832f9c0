/* The bytes that go in and out of inflate.c. */
#ifndef BERTH_INFLATE_FLOW_H
#define BERTH_INFLATE_FLOW_H

#include <string.h>

#include "inflate.h"

#define INFLATE_OUTPUT_END (INFLATE_WINDOW_BYTES + INFLATE_OUTPUT_BYTES)

/* Reads once, unless the input is over. Bytes that are left stay, and as many behind them as can be given back. */
enum decode_end inflate_read(struct inflate *inflate);
/* The end of the input, byte by byte; CUT when the stream was read beyond it. */
enum decode_end inflate_refill_slowly(struct inflate *inflate);

/* At least 56 bits, of which those behind the end of the input are zeros. `bits` is the caller's copy, which stays in
 * registers while it decodes. */
static inline enum decode_end inflate_refill(struct inflate *inflate, struct inflate_bits *bits) {
  struct inflate_input *input = &inflate->input;
  if (__builtin_expect(input->end - bits->at < 8, 0)) {
    input->bits = *bits;
    enum decode_end end = inflate_refill_slowly(inflate);
    *bits = input->bits;
    return end;
  }
  uint64_t word;
  memcpy(&word, bits->at, 8);
  bits->held |= word << bits->count;
  bits->at += (63 - bits->count) >> 3;
  bits->count |= 56;
  return DECODE_DONE;
}

static inline uint32_t inflate_take(struct inflate_bits *bits, unsigned count) {
  uint32_t value = (uint32_t)bits->held & ((1u << count) - 1);
  bits->held >>= count;
  bits->count -= count;
  return value;
}

#endif
