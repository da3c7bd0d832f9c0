/* Bounded reading and writing of the messages that protocol.h describes. Nothing here trusts a length. */
#ifndef BERTH_WIRE_H
#define BERTH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

/* Why something could not be done, in the fields of BERTH_MSG_ERROR. `error` is a positive errno. */
struct failure {
  uint32_t stage;
  uint32_t op;
  int error;
  char object[512];
  char detail[512];
};

/* Reads fields from memory. After the first field that does not fit, `broken` is set, and every further field
 * is 0 or an empty string: callers check wire_is_done() once at the end. */
struct wire_reader {
  const uint8_t *at;
  const uint8_t *end;
  bool broken;
};

struct wire_reader wire_reader_of(const void *bytes, size_t length);
uint16_t wire_u16(struct wire_reader *reader);
uint32_t wire_u32(struct wire_reader *reader);
uint64_t wire_u64(struct wire_reader *reader);
/* A string ends with the NUL that the protocol demands and holds no other. */
const char *wire_string(struct wire_reader *reader);
const uint8_t *wire_bytes(struct wire_reader *reader, uint32_t *length);
/* Everything was read, and all of it fitted. */
bool wire_is_done(const struct wire_reader *reader);

/* Puts fields into memory of the caller's. What does not fit sets `overflow`. */
struct wire_writer {
  uint8_t *bytes;
  size_t length;
  size_t capacity;
  bool overflow;
};

struct wire_writer wire_writer_of(void *bytes, size_t capacity);
void wire_put_u32(struct wire_writer *writer, uint32_t value);
void wire_put_u64(struct wire_writer *writer, uint64_t value);
void wire_put_bytes(struct wire_writer *writer, const void *bytes, size_t length);
void wire_put_string(struct wire_writer *writer, const char *text);

/* The 12 bytes before a body. */
struct wire_header {
  uint32_t length;
  uint32_t id;
  uint16_t type;
  uint8_t version;
};

void wire_header_put(uint8_t bytes[BERTH_HEADER_BYTES], struct wire_header header);

/* Writes all of it to a pipe or a socket, waiting where the descriptor does not block; 0 or -errno. */
int wire_write_all(int fd, const void *bytes, size_t length);
/* One message; 0 or -errno. */
int wire_send(int fd, uint32_t id, uint16_t type, const void *body, size_t length);
int wire_send_failure(int fd, uint32_t id, const struct failure *failure);
/* The body of BERTH_MSG_ERROR. */
void wire_put_failure(struct wire_writer *writer, const struct failure *failure);

#define WIRE_FAILURE_BYTES_MAX (sizeof(struct failure) + 64)

/* Collects one message at a time from a descriptor. The body is a mapping of its own, so that a process that
 * carries out a request can give the memory back with wire_inbox_clear(). */
struct wire_inbox {
  uint8_t header_bytes[BERTH_HEADER_BYTES];
  size_t have;
  struct wire_header header;
  uint8_t *body;
};

/* 1: a whole message is there until wire_inbox_clear(); 0: more has to come; -ENODATA: the other side ended
 * between two messages; else -errno (-EPROTO: not a message of this protocol). Reads no byte of the next. */
int wire_inbox_read(struct wire_inbox *inbox, int fd);
void wire_inbox_clear(struct wire_inbox *inbox);

#endif
