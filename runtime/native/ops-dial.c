/* The last operation of a process that connects to a port of the container's network: it carries bytes, understands
 * none of them, and becomes no program. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "own-work.h"

/* Bytes on their way from one descriptor to another. */
struct flow {
  int from, to;
  bool ended; /* nothing more comes */
  size_t start, end;
  char bytes[16384];
};

static _Noreturn void give_up(const char *what, const char *address, uint32_t port) {
  dprintf(2, "cannot %s %s port %u: %s\n", what, address, port, strerror(errno));
  _exit(1);
}

/* False when the receiver does not want more. */
static bool send_some(struct flow *flow) {
  ssize_t sent = write(flow->to, flow->bytes + flow->start, flow->end - flow->start);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  flow->start += (size_t)sent;
  if (flow->start == flow->end) flow->start = flow->end = 0;
  return true;
}

/* False when the sender failed. */
static bool take_some(struct flow *flow) {
  ssize_t got = read(flow->from, flow->bytes, sizeof flow->bytes);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  flow->ended = got == 0;
  flow->end = (size_t)got;
  return true;
}

static bool is_full(const struct flow *flow) { return flow->end > 0; }

static short wants(const struct flow *flow) { return flow->ended || is_full(flow) ? 0 : POLLIN; }

/* Until the other side has said all; the end of stdin is the end of what we say. Returns whether all went well. */
static bool relay(int connection) {
  static struct flow there, back;
  bool said_end = false;
  there.from = 0;
  there.to = back.from = connection;
  back.to = 1;
  for (int i = 0; i < 2; i++) fcntl(i, F_SETFL, fcntl(i, F_GETFL) | O_NONBLOCK);
  fcntl(connection, F_SETFL, O_RDWR | O_NONBLOCK);
  while (!back.ended || is_full(&back)) {
    if (there.ended && !is_full(&there) && !said_end) {
      said_end = true;
      shutdown(connection, SHUT_WR);
    }
    struct pollfd polled[] = {
        {.fd = wants(&there) ? 0 : -1, .events = POLLIN},
        {.fd = is_full(&back) ? 1 : -1, .events = POLLOUT},
        {.fd = connection, .events = (short)(wants(&back) | (is_full(&there) ? POLLOUT : 0))},
    };
    if (polled[2].events == 0) polled[2].fd = -1;
    if (poll(polled, 3, -1) < 0 && errno != EINTR) return false;
    if (polled[0].revents != 0 && !take_some(&there)) return false;
    if (polled[1].revents != 0 && !send_some(&back)) return false;
    if (is_full(&there) && (polled[2].revents & POLLOUT) != 0 && !send_some(&there)) return false;
    if (wants(&back) && (polled[2].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !take_some(&back)) return false;
  }
  return true;
}

int op_dial(struct program *program, struct wire_reader *payload) {
  uint32_t relays = wire_u32(payload);
  uint32_t port = wire_u32(payload);
  const char *address = wire_string(payload);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (port == 0 || port > 65535 || inet_pton(AF_INET, address, &to.sin_addr) != 1) {
    return program_fails(program, -EINVAL, address);
  }
  int error = own_work_begin(program);
  if (error < 0) return error;
  int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0 || connect(connection, (struct sockaddr *)&to, sizeof to) < 0) {
    give_up("connect to", address, port);
  }
  if (relays && !relay(connection)) give_up("talk to", address, port);
  _exit(0);
}
