/* The last operation of a process that copies: it is in the container's namespaces, with no descriptor of the host's
 * but its pipes, and becomes no program. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel.h"
#include "copy-in.h"
#include "copy-out.h"
#include "copy-report.h"
#include "kernel-abi.h"
#include "process.h"
#include "program.h"

#define ROOT_FD 3

/* What the supervisor had open is its own: other processes wait for the end of its pipes and sockets. */
static int close_all_but_root(struct program *program) {
  if (program->root_fd != ROOT_FD && dup2(program->root_fd, ROOT_FD) < 0) return -errno;
  program->root_fd = ROOT_FD;
  if (fcntl(ROOT_FD, F_SETFD, FD_CLOEXEC) < 0) return -errno;
  return sys_close_range(ROOT_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

static int begin(struct program *program) {
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

static _Noreturn void end(int result, const struct failure *failure) {
  if (result < 0) copy_report(2, failure);
  _exit(result < 0 ? 1 : 0);
}

int op_copy_out(struct program *program, struct wire_reader *payload) {
  struct failure failure = {0};
  uint32_t flags = wire_u32(payload);
  struct copy_out_request request = {.follow = (flags & BERTH_COPY_FOLLOW) != 0};
  request.bytes_max = wire_u64(payload);
  request.entries_max = wire_u32(payload);
  request.path = wire_string(payload);
  request.name = wire_string(payload);
  int error = begin(program);
  if (error < 0) return error;
  request.root = program->root_fd;
  end(copy_out(&request, 1, &failure), &failure);
}

int op_copy_in(struct program *program, struct wire_reader *payload) {
  struct failure failure = {0};
  struct copy_in_request request = {.flags = wire_u32(payload), .notes = 2};
  request.bytes_max = wire_u64(payload);
  request.entries_max = wire_u32(payload);
  request.path = wire_string(payload);
  request.name = wire_string(payload);
  int error = begin(program);
  if (error < 0) return error;
  request.root = program->root_fd;
  end(copy_in(&request, 0, &failure), &failure);
}
