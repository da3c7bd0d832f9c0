/* What the fuzzing targets share: a demand that ends the process, and a descriptor that reads the input. */
#ifndef BERTH_TEST_FUZZ_H
#define BERTH_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define MUST(condition)               \
  do {                                \
    if (!(condition)) __builtin_trap(); \
  } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* The caller's to close. */
static inline int fuzz_file(const uint8_t *bytes, size_t length) {
  int fd = memfd_create("input", MFD_CLOEXEC);
  MUST(fd >= 0 && write(fd, bytes, length) == (ssize_t)length && lseek(fd, 0, SEEK_SET) == 0);
  return fd;
}

#endif
