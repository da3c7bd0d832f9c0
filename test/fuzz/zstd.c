/* Fuzzing: what carries zstd in and out of the library that decodes it. */
#include <fcntl.h>

#include "fuzz.h"
#include "../../runtime/native/unzstd.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct unzstd opened;
  if (opened.memory == NULL) MUST(unzstd_open(&opened) == 0);
  int from = fuzz_file(bytes, length), to = open("/dev/null", O_WRONLY | O_CLOEXEC);
  struct unzstd decoder = {.from = from, .to = to, .dense_from = 8u << 20, .ratio_max = 300, .memory = opened.memory};
  enum decode_end end = unzstd(&decoder);
  MUST(end == DECODE_DONE || end == DECODE_DAMAGED || end == DECODE_CUT || end == DECODE_TOO_DENSE);
  MUST(decoder.bytes_in <= length);
  MUST(decoder.bytes_out <= (8u << 20) + 300 * (length + 1) + (256u << 10));
  close(from);
  close(to);
  return 0;
}
