#include "inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "kernel-abi.h"
#include "program.h"

/* Above whatever the payload may be given, so that nothing is overwritten before it was moved. */
#define SAFE_FD 600

size_t inherit_count(void) {
  size_t count = 0;
  for (int fd = 3; fd < SAFE_FD / 2; fd++, count++) {
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) != 0) break;
  }
  return count;
}

int inherit_take(struct program *program, size_t count, int report_fd) {
  int last = SAFE_FD;
  int report = fcntl(report_fd, F_DUPFD_CLOEXEC, SAFE_FD);
  if (report < 0) return -errno;
  for (size_t i = 0; i < 3 && i < count; i++) {
    program->stdio[i] = last = fcntl(3 + (int)i, F_DUPFD_CLOEXEC, SAFE_FD);
    if (last < 0) return -errno;
  }
  program->preserved = count > 3 ? count - 3 : 0;
  for (size_t i = 0; i < program->preserved; i++) {
    if (dup3(6 + (int)i, 3 + (int)i, O_CLOEXEC) < 0) return -errno;
  }
  sys_close_range(3 + (unsigned)program->preserved, SAFE_FD - 1, 0);
  sys_close_range((unsigned)(last > report ? last : report) + 1, ~0U, 0);
  return report;
}

void inherit_drop(const struct program *program) {
  if (program->preserved > 0) sys_close_range(3, 2 + (unsigned)program->preserved, 0);
}
