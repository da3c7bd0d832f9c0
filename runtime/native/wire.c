#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

struct wire_reader wire_reader_of(const void *bytes, size_t length) {
  const uint8_t *start = bytes;
  /* Where there is nothing, there may be no address to add to. */
  return (struct wire_reader){.at = start, .end = length == 0 ? start : start + length, .broken = false};
}

/* NULL once a field does not fit. */
static const uint8_t *take(struct wire_reader *reader, size_t length) {
  if (reader->broken || (size_t)(reader->end - reader->at) < length) {
    reader->broken = true;
    return NULL;
  }
  const uint8_t *bytes = reader->at;
  reader->at += length;
  return bytes;
}

static uint64_t take_integer(struct wire_reader *reader, size_t length) {
  const uint8_t *bytes = take(reader, length);
  uint64_t value = 0;
  if (bytes == NULL) return 0;
  for (size_t i = length; i > 0; i--) value = value << 8 | bytes[i - 1];
  return value;
}

uint16_t wire_u16(struct wire_reader *reader) { return (uint16_t)take_integer(reader, 2); }
uint32_t wire_u32(struct wire_reader *reader) { return (uint32_t)take_integer(reader, 4); }
uint64_t wire_u64(struct wire_reader *reader) { return take_integer(reader, 8); }

const uint8_t *wire_bytes(struct wire_reader *reader, uint32_t *length) {
  static const uint8_t nothing[1] = {0};
  *length = wire_u32(reader);
  const uint8_t *bytes = take(reader, (size_t)*length + 1);
  if (bytes != NULL && bytes[*length] == 0) return bytes;
  reader->broken = true;
  *length = 0;
  return nothing;
}

const char *wire_string(struct wire_reader *reader) {
  uint32_t length;
  const uint8_t *bytes = wire_bytes(reader, &length);
  if (memchr(bytes, 0, length) == NULL) return (const char *)bytes;
  reader->broken = true;
  return "";
}

bool wire_is_done(const struct wire_reader *reader) {
  return !reader->broken && reader->at == reader->end;
}

struct wire_writer wire_writer_of(void *bytes, size_t capacity) {
  return (struct wire_writer){.bytes = bytes, .length = 0, .capacity = capacity, .overflow = false};
}

static void put_raw(struct wire_writer *writer, const void *bytes, size_t length) {
  if (writer->overflow || writer->capacity - writer->length < length) {
    writer->overflow = true;
    return;
  }
  if (length > 0) memcpy(writer->bytes + writer->length, bytes, length);
  writer->length += length;
}

static void put_integer(struct wire_writer *writer, uint64_t value, size_t length) {
  uint8_t bytes[8];
  for (size_t i = 0; i < length; i++) bytes[i] = (uint8_t)(value >> (8 * i));
  put_raw(writer, bytes, length);
}

void wire_put_u32(struct wire_writer *writer, uint32_t value) { put_integer(writer, value, 4); }
void wire_put_u64(struct wire_writer *writer, uint64_t value) { put_integer(writer, value, 8); }

void wire_put_bytes(struct wire_writer *writer, const void *bytes, size_t length) {
  wire_put_u32(writer, (uint32_t)length);
  put_raw(writer, bytes, length);
  put_raw(writer, "", 1);
}

void wire_put_string(struct wire_writer *writer, const char *text) {
  wire_put_bytes(writer, text, strlen(text));
}

void wire_put_failure(struct wire_writer *writer, const struct failure *failure) {
  wire_put_u32(writer, failure->stage);
  wire_put_u32(writer, failure->op);
  wire_put_u32(writer, (uint32_t)failure->error);
  wire_put_string(writer, failure->object);
  wire_put_string(writer, failure->detail);
}

void wire_header_put(uint8_t bytes[BERTH_HEADER_BYTES], struct wire_header header) {
  struct wire_writer writer = wire_writer_of(bytes, BERTH_HEADER_BYTES);
  wire_put_u32(&writer, header.length);
  wire_put_u32(&writer, header.id);
  put_integer(&writer, header.type, 2);
  put_integer(&writer, header.version, 1);
  put_integer(&writer, 0, 1);
}

int wire_write_all(int fd, const void *bytes, size_t length) {
  const uint8_t *at = bytes;
  while (length > 0) {
    ssize_t written = write(fd, at, length);
    if (written >= 0) {
      at += written;
      length -= (size_t)written;
    } else if (errno == EAGAIN) {
      struct pollfd writable = {.fd = fd, .events = POLLOUT};
      if (poll(&writable, 1, -1) < 0 && errno != EINTR) return -errno;
    } else if (errno != EINTR) {
      return -errno;
    }
  }
  return 0;
}

int wire_send(int fd, uint32_t id, uint16_t type, const void *body, size_t length) {
  uint8_t small[BERTH_HEADER_BYTES + 2048];
  if (length > BERTH_MESSAGE_BYTES_MAX) return -EMSGSIZE;
  wire_header_put(small, (struct wire_header){.length = (uint32_t)length,
                                              .id = id,
                                              .type = type,
                                              .version = BERTH_PROTOCOL_VERSION});
  if (length <= sizeof small - BERTH_HEADER_BYTES) {
    if (length > 0) memcpy(small + BERTH_HEADER_BYTES, body, length);
    return wire_write_all(fd, small, BERTH_HEADER_BYTES + length);
  }
  int error = wire_write_all(fd, small, BERTH_HEADER_BYTES);
  return error < 0 ? error : wire_write_all(fd, body, length);
}

int wire_send_failure(int fd, uint32_t id, const struct failure *failure) {
  uint8_t body[WIRE_FAILURE_BYTES_MAX];
  struct wire_writer writer = wire_writer_of(body, sizeof body);
  wire_put_failure(&writer, failure);
  return wire_send(fd, id, BERTH_MSG_ERROR, writer.bytes, writer.length);
}

static int parse_header(struct wire_inbox *inbox) {
  struct wire_reader reader = wire_reader_of(inbox->header_bytes, BERTH_HEADER_BYTES);
  inbox->header.length = wire_u32(&reader);
  inbox->header.id = wire_u32(&reader);
  inbox->header.type = wire_u16(&reader);
  inbox->header.version = inbox->header_bytes[10];
  if (inbox->header.version != BERTH_PROTOCOL_VERSION || inbox->header_bytes[11] != 0) return -EPROTO;
  if (inbox->header.length > BERTH_MESSAGE_BYTES_MAX) return -EPROTO;
  if (inbox->header.length == 0) return 0;
  void *body = mmap(NULL, inbox->header.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (body == MAP_FAILED) return -ENOMEM;
  inbox->body = body;
  return 0;
}

int wire_inbox_read(struct wire_inbox *inbox, int fd) {
  for (;;) {
    bool in_header = inbox->have < BERTH_HEADER_BYTES;
    size_t whole = in_header ? BERTH_HEADER_BYTES : BERTH_HEADER_BYTES + (size_t)inbox->header.length;
    if (!in_header && inbox->have == whole) return 1;
    uint8_t *into = in_header ? inbox->header_bytes + inbox->have
                              : inbox->body + (inbox->have - BERTH_HEADER_BYTES);
    ssize_t got = read(fd, into, whole - inbox->have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN ? 0 : -errno;
    if (got == 0) return inbox->have == 0 ? -ENODATA : -EPIPE;
    inbox->have += (size_t)got;
    if (in_header && inbox->have == BERTH_HEADER_BYTES) {
      int error = parse_header(inbox);
      if (error < 0) return error;
    }
  }
}

void wire_inbox_clear(struct wire_inbox *inbox) {
  if (inbox->body != NULL) munmap(inbox->body, inbox->header.length);
  *inbox = (struct wire_inbox){0};
}
