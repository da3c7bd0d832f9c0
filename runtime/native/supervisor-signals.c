/* Signals to a container: to its first process, or to every process of its pid namespace. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel-abi.h"
#include "supervisor-state.h"

/* kill(-1) reaches everybody in the caller's pid namespace but its PID 1 and the caller: so it is called from
 * within, and only where the container has a pid namespace of its own. */
static _Noreturn void signal_from_within(int pidfd, int number) {
  if (sys_setns(pidfd, CLONE_NEWPID) < 0) _exit(errno);
  pid_t inside = fork();
  if (inside < 0) _exit(errno);
  if (inside == 0) _exit(kill(-1, number) < 0 && errno != ESRCH ? errno : 0);
  int status;
  if (waitpid(inside, &status, 0) != inside || !WIFEXITED(status)) _exit(ECHILD);
  _exit(WEXITSTATUS(status));
}

static int signal_others(const struct supervisor *supervisor, int number) {
  int status;
  pid_t between = fork();
  if (between < 0) return -errno;
  if (between == 0) signal_from_within(supervisor->pidfd, number);
  if (waitpid(between, &status, 0) != between || !WIFEXITED(status)) return -ECHILD;
  return -WEXITSTATUS(status);
}

int signal_container(const struct supervisor *supervisor, int number, bool all) {
  if (supervisor->state == CONTAINER_ENDED) return -ESRCH;
  /* SIGKILL of the first process takes all the others along. */
  if (all && number != SIGKILL) {
    if ((supervisor->clone_flags & CLONE_NEWPID) == 0) return -EOPNOTSUPP;
    int error = signal_others(supervisor, number);
    if (error < 0) return error;
  }
  return sys_pidfd_send_signal(supervisor->pidfd, number) < 0 ? -errno : 0;
}
