/* The tiny PID 1 that REAP leaves behind: it forwards signals to the payload and reaps whoever is orphaned. */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel-abi.h"
#include "process.h"
#include "program.h"

/* Exit code of the payload in the form that shells and other inits use: 128 + signal. */
static int code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void reap_all(pid_t payload) {
  for (;;) {
    int status;
    pid_t ended = waitpid(-1, &status, WNOHANG);
    if (ended == 0 || (ended < 0 && errno != EINTR)) return;
    if (ended == payload) _exit(code_of(status));
  }
}

/* Keeps nothing but the right to signal the payload, and no descriptor: pipes end when the payload's do. */
static _Noreturn void reap(struct program *program, pid_t payload, const sigset_t *all) {
  prctl(PR_SET_NAME, "berth-init");
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  process_keep_only((uint64_t)1 << CAP_KILL);
  sys_close_range(0, ~0U, 0);
  munmap(program->mapping, program->mapping_bytes);
  for (;;) {
    siginfo_t info;
    int number = sigwaitinfo(all, &info);
    if (number == SIGCHLD) reap_all(payload);
    else if (number > 0) kill(payload, number);
  }
}

int op_reap(struct program *program, struct wire_reader *payload) {
  sigset_t all;
  (void)payload;
  /* Blocked before the fork, so that no signal falls between. The payload unblocks its own before exec. */
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  pid_t child = fork();
  if (child < 0) return program_fails(program, -errno, "reaper");
  if (child > 0) reap(program, child, &all);
  return 0;
}
