/* The bytes that go in and out of a decoder, and how many of them there may be. No system calls but read and write. */
#ifndef BERTH_DECODE_FLOW_H
#define BERTH_DECODE_FLOW_H

#include <stddef.h>
#include <stdint.h>

#include "decode-end.h"

/* Reads once: what it got, 0 at the end of the input. `error`: errno of a failure. */
enum decode_end decode_read(int fd, uint8_t *bytes, size_t length, size_t *got, int *error);
/* Writes all of it. */
enum decode_end decode_write(int fd, const uint8_t *bytes, size_t length, int *error);

/* Beyond `dense_from` bytes of output there must be no more than `ratio_max` for one of input. */
static inline enum decode_end decode_density(uint64_t bytes_in, uint64_t bytes_out, uint64_t dense_from,
                                             uint32_t ratio_max) {
  return bytes_out > dense_from && bytes_out / ratio_max > bytes_in ? DECODE_TOO_DENSE : DECODE_DONE;
}

#endif
