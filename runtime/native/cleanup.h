/* Scope-bound ownership: a variable marked so gives back what it owns at the end of its block. */
#ifndef BERTH_CLEANUP_H
#define BERTH_CLEANUP_H

#include <errno.h>
#include <unistd.h>

static inline void close_owned_fd(const int *fd) {
  int saved = errno;
  if (*fd >= 0) close(*fd);
  errno = saved;
}

#define OWNED_FD __attribute__((cleanup(close_owned_fd))) int

/* Hands the descriptor over to the caller. */
static inline int steal_fd(int *fd) {
  int stolen = *fd;
  *fd = -1;
  return stolen;
}

/* Closes what the variable owns now, before its end. */
static inline void drop_fd(int *fd) {
  close_owned_fd(fd);
  *fd = -1;
}

#endif
