/* The last operation of an init: becoming the payload. */
#include <errno.h>
#include <limits.h>
#include <paths.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel.h"
#include "process.h"
#include "program.h"

void process_reset_signals(void) {
  struct sigaction standard = {.sa_handler = SIG_DFL};
  sigset_t none;
  for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

char **program_string_list(struct wire_reader *payload) {
  uint32_t count = wire_u32(payload);
  char **list = calloc((size_t)count + 1, sizeof *list);
  if (list == NULL) return NULL;
  for (uint32_t i = 0; i < count; i++) list[i] = (char *)(uintptr_t)wire_string(payload);
  return list;
}

static const char *search_path_of(char *const *environment) {
  for (; *environment != NULL; environment++) {
    if (strncmp(*environment, "PATH=", 5) == 0) return *environment + 5;
  }
  return _PATH_STDPATH;
}

/* Like execvpe, but without a shell for files of no known format. Returns -errno of the most telling failure. */
static int search_and_exec(const char *name, char **arguments, char **environment) {
  char candidate[PATH_MAX];
  size_t name_length = strlen(name);
  bool denied = false;
  for (const char *at = search_path_of(environment);; at++) {
    size_t length = strcspn(at, ":");
    if (length + name_length + 2 <= sizeof candidate) {
      memcpy(candidate, at, length);
      candidate[length] = '/';
      memcpy(candidate + (length == 0 ? 0 : length + 1), name, name_length + 1);
      execve(candidate, arguments, environment);
      if (errno == EACCES) denied = true;
      else if (errno != ENOENT && errno != ENOTDIR) return -errno;
    }
    at += length;
    if (*at == '\0') return denied ? -EACCES : -ENOENT;
  }
}

/* Returns only when it fails: -errno. */
static int become_payload(struct program *program, char **arguments, char **environment) {
  const char *name = arguments[0];
  if (name == NULL) return program_fails(program, -EINVAL, "empty command");
  int error = process_seal_descriptors(program);
  if (error < 0) return error;
  umask(program->umask);
  process_reset_signals();
  /* A container does not outlive its supervisor: nobody would take its output or learn of its end. Set here,
   * because a change of ids has reset it; if the supervisor was gone before, the channel tells. */
  if (program->is_first && !program->is_left) prctl(PR_SET_PDEATHSIG, SIGKILL);
  error = program->answers_asker ? 0 : channel_send_kind(program->channel, CHANNEL_EXEC);
  if (error < 0) _exit(127);
  if (*name == '\0') return program_fails(program, -ENOENT, name);
  if (strchr(name, '/') == NULL) return program_fails(program, search_and_exec(name, arguments, environment), name);
  execve(name, arguments, environment);
  return program_fails(program, -errno, name);
}

int op_exec(struct program *program, struct wire_reader *payload) {
  char **arguments = program_string_list(payload);
  char **environment = program_string_list(payload);
  program->failure.stage = BERTH_STAGE_EXEC;
  int error = arguments == NULL || environment == NULL ? -ENOMEM : become_payload(program, arguments, environment);
  free(arguments);
  free(environment);
  return error;
}

static int check_file(const char *path) {
  struct stat status;
  if (stat(path, &status) < 0) return -errno;
  if (!S_ISREG(status.st_mode)) return -EACCES;
  return access(path, X_OK) < 0 ? -errno : 0;
}

/* -ENOENT where there is none, -EACCES where there are only others' or no programs. */
static int search(const char *name, char *const *environment) {
  char candidate[PATH_MAX];
  int found = -ENOENT;
  for (const char *at = search_path_of(environment);; at++) {
    size_t length = strcspn(at, ":");
    if (length + strlen(name) + 2 <= sizeof candidate) {
      snprintf(candidate, sizeof candidate, "%.*s%s%s", (int)length, at, length == 0 ? "" : "/", name);
      int error = check_file(candidate);
      if (error == 0) return 0;
      if (error == -EACCES) found = error;
    }
    at += length;
    if (*at == '\0') return found;
  }
}

/* A look ahead, so that what is held is known to be there: EXEC decides. */
int op_find(struct program *program, struct wire_reader *payload) {
  char **arguments = program_string_list(payload);
  char **environment = program_string_list(payload);
  int error = -ENOMEM;
  program->failure.stage = BERTH_STAGE_EXEC;
  if (arguments != NULL && environment != NULL) {
    const char *name = arguments[0] == NULL ? "" : arguments[0];
    error = strchr(name, '/') == NULL ? search(name, environment) : check_file(name);
    if (error < 0) program_fails(program, error, name);
  }
  free(arguments);
  free(environment);
  return error;
}
