/* How a supervisor comes up: it places its container, or leaves nothing behind. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel.h"
#include "cleanup.h"
#include "handoff.h"
#include "inherit.h"
#include "kernel-abi.h"
#include "supervisor-state.h"

/* Away from the agent's session, terminal and descriptors; 0, 1 and 2 are /dev/null. */
static int detach(struct program *program, uint32_t flags, int report_fd) {
  static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2};
  setsid();
  /* What was started by somebody's session could use the keys of that: each supervisor has a session without any, and
   * so has its container where that gets no keyring of its own. */
  syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  umask(0);
  prctl(PR_SET_NAME, "berth-super");
  signal(SIGCHLD, SIG_DFL);
  for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) signal(ignored[i], SIG_IGN);
  int moved = report_fd;
  if ((flags & BERTH_START_INHERIT) != 0) {
    moved = inherit_take(program, inherit_count(), report_fd);
    if (moved < 0) return moved;
  } else if (report_fd != 3) {
    moved = dup3(report_fd, 3, O_CLOEXEC);
    if (moved < 0) return -errno;
  }
  if ((flags & BERTH_START_INHERIT) == 0) sys_close_range(4, ~0U, 0);
  OWNED_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return -errno;
  for (int fd = 0; fd < 3; fd++) {
    if (dup2(null, fd) < 0) return -errno;
  }
  return moved;
}

/* bind(2) gives the socket's file the mode of the socket, less the umask. */
static int open_socket(struct supervisor *supervisor, const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
  memcpy(address.sun_path, path, strlen(path) + 1);
  int error = place_open(&supervisor->socket_place, path);
  if (error < 0) return error;
  OWNED_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || fchmod(fd, 0600) < 0) return -errno;
  /* What lies there is of a supervisor that was killed: two for one container are never started. */
  if (unlink(path) < 0 && errno != ENOENT) return -errno;
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 64) < 0) return -errno;
  supervisor->listener = steal_fd(&fd);
  return 0;
}

static int open_stdio(struct supervisor *supervisor, struct program *program, uint32_t flags) {
  int error = 0;
  if ((flags & (BERTH_START_TTY | BERTH_START_INHERIT)) != 0) return 0;
  if ((flags & BERTH_START_STDIN) != 0) error = open_pipe(1, &supervisor->stdin_fd, &program->stdio[0]);
  for (int i = 0; i < 2 && error == 0; i++) {
    error = open_pipe(0, &supervisor->streams[i].fd, &program->stdio[i + 1]);
  }
  return error;
}

static int fails(struct failure *failure, int error, const char *object) {
  *failure = (struct failure){.stage = BERTH_STAGE_SUPERVISOR, .error = -error};
  snprintf(failure->object, sizeof failure->object, "%s", object);
  return error;
}

/* Done while the init is busy with its mounts. */
static int open_files(struct supervisor *supervisor, const struct start_request *request, struct failure *failure) {
  const char *path = request->exit_path;
  int error = place_open(&supervisor->exit_place, path);
  if (error == 0) {
    path = request->log_path;
    error = log_file_open(&supervisor->log, path, request->log_bytes_max, request->log_files_max);
  }
  if (error == 0) {
    path = request->socket_path;
    error = open_socket(supervisor, path);
  }
  if (error == 0) return 0;
  return fails(failure, error, path);
}

static int ended_early(struct failure *failure) {
  *failure = (struct failure){.stage = BERTH_STAGE_INIT, .error = ECHILD};
  snprintf(failure->object, sizeof failure->object, "container");
  snprintf(failure->detail, sizeof failure->detail, "its first process ended while it was set up");
  return -ECHILD;
}

/* Whoever asked for the terminal gets it, else it is the supervisor's. */
static int take_terminal(struct supervisor *supervisor, int master) {
  if (supervisor->console_socket >= 0) {
    int error = handoff_terminal(supervisor->console_socket, master);
    close(master);
    drop_fd(&supervisor->console_socket);
    return error;
  }
  if (supervisor->terminal >= 0) {
    close(master);
    return 0;
  }
  set_nonblocking(master);
  supervisor->terminal = supervisor->streams[0].fd = master;
  return 0;
}

/* The child is under its filter already: what it calls from now on is the agent's to answer. */
static int give_listener(struct supervisor *supervisor, int number) {
  OWNED_FD listener = sys_pidfd_getfd(supervisor->pidfd, number);
  if (listener < 0) return -errno;
  if (supervisor->seccomp_agent < 0) return -EDESTADDRREQ;
  int error = handoff_listener(supervisor->seccomp_agent, supervisor->agent_state, supervisor->pid, listener);
  drop_fd(&supervisor->seccomp_agent);
  return error < 0 ? error : channel_send_kind(supervisor->channel, CHANNEL_NOTIFY);
}

/* Until the child has become the payload, is held, or has failed. */
static int wait_for_child(struct supervisor *supervisor, struct failure *failure) {
  struct channel_message message;
  for (;;) {
    int got = channel_receive(supervisor->channel, &message, 0);
    if (got <= 0) break;
    if (message.kind == CHANNEL_EXEC) supervisor->is_ready = true;
    if (message.kind == CHANNEL_FAILED) {
      *failure = message.body.failure;
      return -failure->error;
    }
    if (message.kind == CHANNEL_HELD) {
      set_nonblocking(supervisor->channel);
      return 0;
    }
    if (message.kind == CHANNEL_TERMINAL && message.fd_count == 1) {
      int error = take_terminal(supervisor, message.fds[0]);
      if (error < 0) return fails(failure, error, "console socket");
    }
    if (message.kind == CHANNEL_LISTENER) {
      int error = give_listener(supervisor, message.body.number);
      if (error < 0) return fails(failure, error, "seccomp agent");
    }
  }
  if (!supervisor->is_ready) return ended_early(failure);
  drop_fd(&supervisor->channel);
  supervisor->state = CONTAINER_RUNNING;
  return 0;
}

static int place_container(struct supervisor *supervisor, struct start_request *request, struct program *program) {
  int error = open_stdio(supervisor, program, request->flags);
  if (error < 0) {
    program->failure = (struct failure){.stage = BERTH_STAGE_SUPERVISOR, .error = -error};
    return error;
  }
  error = program_run_host(program, BERTH_STAGE_SUPERVISOR);
  program_release(program);
  inherit_drop(program);
  supervisor->console_socket = program->console_socket;
  supervisor->seccomp_agent = program->seccomp_agent;
  supervisor->agent_state = program->agent_state;
  supervisor->pid = program->child;
  supervisor->pidfd = program->child_pidfd;
  supervisor->channel = program->channel;
  supervisor->clone_flags = program->clone_flags;
  supervisor->root_uid = program->root_uid;
  supervisor->root_gid = program->root_gid;
  bool stays = (request->flags & BERTH_START_LEAVE) == 0;
  if (error == 0 && stays) error = open_files(supervisor, request, &program->failure);
  if (error == 0) error = wait_for_child(supervisor, &program->failure);
  return error;
}

/* Leaves no process and no socket behind. */
static _Noreturn void give_up(struct supervisor *supervisor, struct program *program, int report_fd) {
  program_undo(program);
  if (supervisor->pid > 0) {
    sys_pidfd_send_signal(supervisor->pidfd, SIGKILL);
    exit_status_of_child(supervisor->pid);
  }
  if (supervisor->listener >= 0) unlinkat(supervisor->socket_place.directory, supervisor->socket_place.name, 0);
  wire_send_failure(report_fd, program->id, &program->failure);
  _exit(1);
}

/* The agent may be gone by now; the container runs nevertheless, and the next agent finds the socket. */
static void report_started(const struct supervisor *supervisor, uint32_t id, int report_fd) {
  uint8_t bytes[32];
  struct wire_writer body = wire_writer_of(bytes, sizeof bytes);
  wire_put_started(&body, supervisor->pid);
  wire_send(report_fd, id, BERTH_MSG_STARTED, bytes, body.length);
  close(report_fd);
}

static void initialize(struct supervisor *supervisor) {
  supervisor->pidfd = supervisor->channel = supervisor->stdin_fd = supervisor->terminal = -1;
  supervisor->listener = supervisor->log.fd = supervisor->console_socket = supervisor->seccomp_agent = -1;
  supervisor->exit_place = supervisor->socket_place = supervisor->log.place = NO_PLACE;
  supervisor->streams[0] = (struct stream){.fd = -1, .number = 1};
  supervisor->streams[1] = (struct stream){.fd = -1, .number = 2};
}

_Noreturn void supervisor_run(struct start_request *request, int report_fd) {
  static struct supervisor supervisor;
  struct program program;
  initialize(&supervisor);
  program_init(&program, request->id, request->program, request->program_bytes);
  program.failure.stage = BERTH_STAGE_SUPERVISOR;
  program.is_first = program_makes_container(request->program, request->program_bytes);
  program.is_left = (request->flags & BERTH_START_LEAVE) != 0;
  program.holds = (request->flags & BERTH_START_HOLD) != 0;
  program.mapping = request->mapping;
  program.mapping_bytes = request->mapping_bytes;
  program.report_fd = report_fd = detach(&program, request->flags, report_fd);
  if (report_fd < 0) _exit(1);
  supervisor.lines = mmap(NULL, sizeof supervisor.lines[0] * 2, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (supervisor.lines == MAP_FAILED) {
    program.failure.error = ENOMEM;
    give_up(&supervisor, &program, report_fd);
  }
  if (place_container(&supervisor, request, &program) < 0) give_up(&supervisor, &program, report_fd);
  program_keep(&program);
  supervisor.start_time = process_start_time(supervisor.pid);
  report_started(&supervisor, request->id, report_fd);
  if (program.is_left) _exit(0);
  munmap(request->mapping, request->mapping_bytes);
  supervisor_loop(&supervisor);
}
