/* How the decoding of a stream ends. */
#ifndef BERTH_DECODE_END_H
#define BERTH_DECODE_END_H

enum decode_end {
  DECODE_DONE,
  DECODE_DAMAGED,
  DECODE_CUT,
  DECODE_TOO_DENSE,
  DECODE_CANNOT_READ, /* errno beside it */
  DECODE_CANNOT_WRITE
};

#endif
