/* Fuzzing: the stream of messages, as launcher and supervisors read it. */
#include <errno.h>

#include "fuzz.h"
#include "../../runtime/native/fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct wire_inbox inbox = {0};
  int fd = fuzz_file(bytes, length);
  int result;
  while ((result = wire_inbox_read(&inbox, fd)) == 1) {
    struct wire_reader body = wire_reader_of(inbox.body, inbox.header.length);
    uint32_t piece;
    MUST(fingerprint_groups(inbox.body, inbox.header.length) <= inbox.header.length / sizeof piece);
    MUST(inbox.header.length <= BERTH_MESSAGE_BYTES_MAX && inbox.header.version == BERTH_PROTOCOL_VERSION);
    /* As START and UNPACK begin: strings, numbers, bytes. */
    while (!body.broken && body.at < body.end) {
      wire_string(&body);
      wire_u64(&body);
      wire_u32(&body);
      wire_bytes(&body, &piece);
    }
    wire_inbox_clear(&inbox);
  }
  MUST(result == -ENODATA || result == -EPIPE || result == -EPROTO || result == -ENOMEM);
  wire_inbox_clear(&inbox);
  close(fd);
  return 0;
}
