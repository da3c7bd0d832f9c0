#include "talk.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void put_list(struct wire_writer *out, const char *fields, va_list values) {
  for (; *fields != '\0'; fields++) {
    const void *bytes;
    switch (*fields) {
      case 'w': wire_put_u32(out, va_arg(values, uint32_t)); break;
      case 'q': wire_put_u64(out, va_arg(values, uint64_t)); break;
      case 's': wire_put_string(out, va_arg(values, const char *)); break;
      case 'b':
        bytes = va_arg(values, const void *);
        wire_put_bytes(out, bytes, va_arg(values, size_t));
        break;
      default: abort();
    }
  }
  if (out->overflow) abort();
}

void put(struct wire_writer *out, const char *fields, ...) {
  va_list values;
  va_start(values, fields);
  put_list(out, fields, values);
  va_end(values);
}

void put_all(struct wire_writer *out, const struct wire_writer *more) {
  if (out->capacity - out->length < more->length) abort();
  memcpy(out->bytes + out->length, more->bytes, more->length);
  out->length += more->length;
}

void put_operation(struct wire_writer *out, uint16_t op, const char *fields, ...) {
  uint8_t bytes[16384];
  struct wire_writer payload = wire_writer_of(bytes, sizeof bytes);
  va_list values;
  va_start(values, fields);
  put_list(&payload, fields, values);
  va_end(values);
  wire_put_u32(out, op);
  wire_put_u32(out, (uint32_t)payload.length);
  put_all(out, &payload);
}

void talk_send(struct talk *talk, uint32_t id, uint16_t type, const struct wire_writer *body) {
  wire_send(talk->out, id, type, body == NULL ? NULL : body->bytes, body == NULL ? 0 : body->length);
}

struct message talk_receive(struct talk *talk) {
  struct message message = {.type = 0xffff};
  for (;;) {
    struct pollfd readable = {.fd = talk->in, .events = POLLIN};
    wire_inbox_clear(&talk->inbox);
    if (poll(&readable, 1, 5000) <= 0) return message;
    int got = wire_inbox_read(&talk->inbox, talk->in);
    while (got == 0 && poll(&readable, 1, 5000) > 0) got = wire_inbox_read(&talk->inbox, talk->in);
    if (got < 0) message.type = 0;
    if (got != 1) return message;
    message.id = talk->inbox.header.id;
    message.type = talk->inbox.header.type;
    message.length = talk->inbox.header.length;
    message.body = talk->inbox.body;
    message.fields = wire_reader_of(message.body, message.length);
    return message;
  }
}

struct message talk_expect(struct talk *talk, uint16_t type) {
  for (;;) {
    struct message message = talk_receive(talk);
    if (message.type == type || message.type == 0 || message.type == 0xffff) return message;
  }
}

void talk_close(struct talk *talk) {
  wire_inbox_clear(&talk->inbox);
  if (talk->in >= 0) close(talk->in);
  if (talk->out >= 0 && talk->out != talk->in) close(talk->out);
  talk->in = talk->out = -1;
}

struct talk launch(const char *helper, pid_t *pid) {
  int requests[2], answers[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, requests) < 0) abort();
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, answers) < 0) abort();
  *pid = fork();
  if (*pid == 0) {
    dup2(requests[1], 0);
    dup2(answers[1], 1);
    execl(helper, helper, "launcher", NULL);
    _exit(126);
  }
  close(requests[1]);
  close(answers[1]);
  return (struct talk){.in = answers[0], .out = requests[0]};
}

struct talk connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return (struct talk){.in = fd, .out = fd};
  close(fd);
  return (struct talk){.in = -1, .out = -1};
}
