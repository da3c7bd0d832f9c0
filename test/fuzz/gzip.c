/* Fuzzing: what inflates gzip, and the tables it makes. */
#include <fcntl.h>
#include <string.h>

#include "fuzz.h"
#include "../../runtime/native/gunzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct inflate inflate;
  int from = fuzz_file(bytes, length), to = open("/dev/null", O_WRONLY | O_CLOEXEC);
  memset(&inflate.input, 0, offsetof(struct inflate_input, buffer));
  memset(&inflate.output, 0, offsetof(struct inflate_output, buffer));
  inflate.dense_from = 8u << 20;
  inflate.ratio_max = 300;
  inflate.bytes_in = inflate.bytes_out = 0;
  inflate.error = 0;
  inflate.input.fd = from;
  inflate.output.fd = to;
  enum decode_end end = gunzip(&inflate);
  MUST(end == DECODE_DONE || end == DECODE_DAMAGED || end == DECODE_CUT || end == DECODE_TOO_DENSE);
  MUST(inflate.bytes_in <= length);
  close(from);
  close(to);
  return 0;
}
