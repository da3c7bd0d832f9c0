#include "poll-set.h"

#include <stdlib.h>

static int grow(struct poll_set *set) {
  size_t room = set->room == 0 ? 16 : set->room * 2;
  struct pollfd *fds = realloc(set->fds, room * sizeof *fds);
  if (fds == NULL) return -1;
  set->fds = fds;
  struct poll_watch *watches = realloc(set->watches, room * sizeof *watches);
  if (watches == NULL) return -1;
  set->watches = watches;
  set->room = room;
  return 0;
}

void poll_set_add(struct poll_set *set, int fd, short events, struct poll_watch watch) {
  if (fd < 0 || (set->count == set->room && grow(set) < 0)) return;
  set->fds[set->count] = (struct pollfd){.fd = fd, .events = events};
  set->watches[set->count++] = watch;
}

void poll_set_run(struct poll_set *set, int timeout_ms) {
  int ready = poll(set->fds, set->count, timeout_ms);
  for (size_t i = 0; i < set->count && ready > 0; i++) {
    if (set->fds[i].revents == 0) continue;
    ready--;
    set->watches[i].ready(set->watches[i].owner, set->watches[i].object, set->fds[i].revents);
  }
  set->count = 0;
}
