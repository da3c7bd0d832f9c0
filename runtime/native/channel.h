/* The socket between a supervisor and a process it has cloned, until that process becomes the payload. It is
 * O_CLOEXEC on both sides, so its end after CHANNEL_EXEC says that exec has succeeded. */
#ifndef BERTH_CHANNEL_H
#define BERTH_CHANNEL_H

#include "wire.h"

enum channel_kind {
  /* To the child. */
  CHANNEL_NOTIFY = 1,
  CHANNEL_FDS,     /* descriptors and the slot of each */
  CHANNEL_RELEASE,
  /* From the child. */
  CHANNEL_FAILED,  /* why; the child ends */
  CHANNEL_EXEC,    /* everything is set up, exec is next */
  CHANNEL_HELD,    /* waits for CHANNEL_RELEASE */
  CHANNEL_TERMINAL, /* descriptor: the master of its terminal */
  CHANNEL_JOINED,  /* pid on the host, descriptor: its pidfd */
};

struct channel_message {
  uint32_t kind;
  union {
    struct failure failure;
    uint8_t slots[BERTH_SLOTS];
    int32_t pid;
  } body;
  size_t fd_count;
  int fds[BERTH_SLOTS];
};

/* 0 or -errno: -EPIPE when the other side is gone. Descriptors stay the caller's. */
int channel_send(int channel, const struct channel_message *message);
int channel_send_kind(int channel, enum channel_kind kind);
/* 1, 0 at the end of the channel, or -errno (-EAGAIN with MSG_DONTWAIT). Descriptors become the caller's. */
int channel_receive(int channel, struct channel_message *message, int flags);

#endif
