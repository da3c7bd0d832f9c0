/* Programs that the caller wants run while a container is made (runtime-spec, "POSIX-platform Hooks"). */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "kernel-abi.h"
#include "process.h"
#include "program.h"

struct hook {
  uint32_t timeout_ms; /* 0: as long as it takes */
  const char *path;
  char **arguments;
  char **environment;
  const char *before_pid;
  const char *after_pid;
};

/* What the hook reads: the container's state, with the pid that only this process knows. */
static int state_file(const struct program *program, const struct hook *hook) {
  pid_t pid = program->is_init ? program->host_pid : program->child;
  OWNED_FD file = (int)syscall(SYS_memfd_create, "state", 0);
  if (file < 0) return -errno;
  if (dprintf(file, "%s%d%s", hook->before_pid, pid, hook->after_pid) < 0) return -EIO;
  if (lseek(file, 0, SEEK_SET) < 0) return -errno;
  return steal_fd(&file);
}

/* Its output is the caller's error output, where that is known: else it would vanish with the reason it tells. */
static _Noreturn void become_hook(const struct program *program, const struct hook *hook, int state) {
  int output = program->is_init ? 2 : program->stdio[2];
  if (dup2(state, 0) < 0 || (output > 2 && (dup2(output, 1) < 0 || dup2(output, 2) < 0))) _exit(126);
  sys_close_range(3, ~0U, 0);
  umask(022);
  process_reset_signals();
  execve(hook->path, hook->arguments, hook->environment);
  dprintf(2, "%s: %s\n", hook->path, strerror(errno));
  _exit(127);
}

static int wait_for_hook(struct program *program, const struct hook *hook, pid_t pid, int pidfd) {
  struct pollfd polled = {.fd = pidfd, .events = POLLIN};
  int ready, status;
  char text[64];
  do {
    ready = poll(&polled, 1, hook->timeout_ms == 0 ? -1 : (int)hook->timeout_ms);
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) kill(pid, SIGKILL);
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return program_fails(program, -errno, hook->path);
  }
  if (ready == 0) {
    program_detail(program, "the hook took longer than its timeout");
    return program_fails(program, -ETIMEDOUT, hook->path);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  if (WIFEXITED(status)) snprintf(text, sizeof text, "exit status %d", WEXITSTATUS(status));
  else snprintf(text, sizeof text, "%s (signal %d)", strsignal(WTERMSIG(status)), WTERMSIG(status));
  /* In the middle of a sentence. */
  text[0] = (char)tolower((unsigned char)text[0]);
  program_detail(program, text);
  return program_fails(program, -ECANCELED, hook->path);
}

static int run_hook(struct program *program, const struct hook *hook) {
  OWNED_FD state = state_file(program, hook);
  if (state < 0) return program_fails(program, state, hook->path);
  pid_t pid = fork();
  if (pid == 0) become_hook(program, hook, state);
  if (pid < 0) return program_fails(program, -errno, hook->path);
  OWNED_FD pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) return program_fails(program, -errno, hook->path);
  return wait_for_hook(program, hook, pid, pidfd);
}

int op_hook(struct program *program, struct wire_reader *payload) {
  struct hook hook = {.timeout_ms = wire_u32(payload)};
  hook.path = wire_string(payload);
  hook.arguments = program_string_list(payload);
  hook.environment = program_string_list(payload);
  hook.before_pid = wire_string(payload);
  hook.after_pid = wire_string(payload);
  int error = -ENOMEM;
  if (hook.arguments != NULL && hook.environment != NULL) error = run_hook(program, &hook);
  free(hook.arguments);
  free(hook.environment);
  return error;
}
