#include "own-work.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel.h"
#include "kernel-abi.h"

#define ROOT_FD 3

/* What the supervisor had open is its own: other processes wait for the end of its pipes and sockets. */
static int close_all_but_root(struct program *program) {
  if (program->root_fd != ROOT_FD && dup2(program->root_fd, ROOT_FD) < 0) return -errno;
  program->root_fd = ROOT_FD;
  if (fcntl(ROOT_FD, F_SETFD, FD_CLOEXEC) < 0) return -errno;
  return sys_close_range(ROOT_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

int own_work_begin(struct program *program) {
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (program->root_fd < 0) return program_fails(program, -EBADF, "root");
  int error = channel_send_kind(program->channel, CHANNEL_EXEC);
  if (error < 0) _exit(127);
  if (close_all_but_root(program) < 0) _exit(126);
  umask(0);
  return 0;
}
