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
  CHANNEL_LISTENER, /* number of a descriptor in the child: where its filter asks; answered by CHANNEL_NOTIFY */
};

struct channel_message {
  uint32_t kind;
  union {
    struct failure failure;
    uint8_t slots[BERTH_SLOTS];
    int32_t pid;
    int32_t number;
  } body;
  size_t fd_count;
  int fds[BERTH_SLOTS];
};

/* 0 or -errno: -EPIPE when the other side is gone. Descriptors stay the caller's. */
int channel_send(int channel, const struct channel_message *message);
int channel_send_kind(int channel, enum channel_kind kind);
/* From the child, whose filter is in force already: says where the listener is, and waits for the answer. 0 or -errno. */
int channel_offer_listener(int channel, int listener);
/* 1, 0 at the end of the channel, or -errno (-EAGAIN with MSG_DONTWAIT). Descriptors become the caller's. */
int channel_receive(int channel, struct channel_message *message, int flags);

#endif
