#include "decode-flow.h"

#include <errno.h>
#include <unistd.h>

enum decode_end decode_read(int fd, uint8_t *bytes, size_t length, size_t *got, int *error) {
  ssize_t count;
  do count = read(fd, bytes, length);
  while (count < 0 && errno == EINTR);
  if (count < 0) {
    *error = errno;
    return DECODE_CANNOT_READ;
  }
  *got = (size_t)count;
  return DECODE_DONE;
}

enum decode_end decode_write(int fd, const uint8_t *bytes, size_t length, int *error) {
  while (length > 0) {
    ssize_t put = write(fd, bytes, length);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      *error = errno;
      return DECODE_CANNOT_WRITE;
    }
    bytes += put;
    length -= (size_t)put;
  }
  return DECODE_DONE;
}
