/* What one round of a process's loop waits for. */
#ifndef BERTH_POLL_SET_H
#define BERTH_POLL_SET_H

#include <poll.h>
#include <stddef.h>

/* Called when the descriptor is ready (or broken, or its other side gone). */
typedef void poll_ready(void *owner, void *object, short events);

struct poll_watch {
  poll_ready *ready;
  void *owner;
  void *object;
};

struct poll_set {
  struct pollfd *fds;
  struct poll_watch *watches;
  size_t count;
  size_t room;
};

/* Descriptors below 0 are passed over. Without memory the descriptor is left out of this round. */
void poll_set_add(struct poll_set *set, int fd, short events, struct poll_watch watch);
/* Waits at most timeout_ms (-1: for ever), calls who is ready, in order of adding, and empties the set. What a
 * call frees must not be named by a later watch of the same round. */
void poll_set_run(struct poll_set *set, int timeout_ms);

#endif
