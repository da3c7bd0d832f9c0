/* zstd (RFC 8878): all frames of a stream, skippable ones passed over, from one descriptor to another, with no system calls
 * but read and write once it is open. */
#ifndef BERTH_UNZSTD_H
#define BERTH_UNZSTD_H

#include <stdint.h>

#include "decode-end.h"

/* What the zstd tool itself accepts: more would let a frame of a few bytes claim gigabytes of memory. */
#define UNZSTD_WINDOW_BYTES_MAX (128u << 20)

struct unzstd {
  int from;
  int to;
  uint64_t dense_from; /* bytes of output beyond which there must be no more than `ratio_max` for one of input */
  uint32_t ratio_max;
  uint64_t bytes_in;
  uint64_t bytes_out;
  int error; /* errno of a read or a write */
  void *memory;
};

/* Takes all the memory that decoding may need, of which the kernel gives what is used; 0, or -1 with errno. The memory goes
 * with the process. */
int unzstd_open(struct unzstd *unzstd);
/* To the end of the input. Checksums are checked where frames have them. What was written before a failure stays written. */
enum decode_end unzstd(struct unzstd *unzstd);

#endif
