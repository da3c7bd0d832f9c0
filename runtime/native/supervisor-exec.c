/* Processes that EXEC starts inside the container. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "cleanup.h"
#include "kernel-abi.h"
#include "supervisor-state.h"

#define READ_BYTES 16384
/* What may still lie in the pipes of an ended process; whoever else holds them is not waited for. */
#define DRAIN_BYTES_MAX (2UL * 65536)
#define HANGUP_GRACE_MS 1000

struct exec *exec_find(struct supervisor *supervisor, const struct client *client, uint32_t id) {
  for (struct exec *exec = supervisor->execs; exec != NULL; exec = exec->next) {
    if (exec->client == client && exec->id == id) return exec;
  }
  return NULL;
}

static void close_stdio(struct exec *exec) {
  drop_fd(&exec->stdin_fd);
  drop_fd(&exec->streams[0].fd);
  drop_fd(&exec->streams[1].fd);
  exec->terminal = -1;
}

/* Nobody listens any more: a hang-up, as of a terminal line, then the end. One that has not executed its program, be
 * it a detached one, was given up: it may be stopped, and no handler of its own is there to hear a hang-up. */
void execs_orphan(struct supervisor *supervisor, const struct client *client) {
  for (struct exec *exec = supervisor->execs; exec != NULL; exec = exec->next) {
    if (exec->client != client) continue;
    exec->client = NULL;
    if (exec->has_ended) continue;
    if (!exec->is_started) {
      close_stdio(exec);
      sys_pidfd_send_signal(exec->pidfd, SIGKILL);
      continue;
    }
    if ((exec->flags & BERTH_EXEC_DETACH) != 0) continue;
    close_stdio(exec);
    sys_pidfd_send_signal(exec->pidfd, SIGHUP);
    exec->kill_at_ms = monotonic_ms() + HANGUP_GRACE_MS;
  }
}

void execs_kill_all(struct supervisor *supervisor) {
  for (struct exec *exec = supervisor->execs; exec != NULL; exec = exec->next) {
    if (!exec->has_ended) sys_pidfd_send_signal(exec->pidfd, SIGKILL);
  }
}

int execs_timeout_ms(const struct supervisor *supervisor) {
  uint64_t now = monotonic_ms();
  uint64_t earliest = UINT64_MAX;
  for (const struct exec *exec = supervisor->execs; exec != NULL; exec = exec->next) {
    if (exec->kill_at_ms != 0 && !exec->has_ended && exec->kill_at_ms < earliest) earliest = exec->kill_at_ms;
  }
  if (earliest == UINT64_MAX) return -1;
  return earliest > now ? (int)(earliest - now) : 0;
}

static void fail(struct supervisor *supervisor, struct exec *exec, const struct failure *failure) {
  if (exec->client != NULL && !exec->has_failed && !exec->is_started) {
    client_send_failure(supervisor, exec->client, exec->id, failure);
  }
  exec->has_failed = true;
}

static void tell_started(struct supervisor *supervisor, struct exec *exec) {
  uint8_t bytes[32];
  struct wire_writer body = wire_writer_of(bytes, sizeof bytes);
  wire_put_started(&body, exec->pid);
  exec->is_started = true;
  if (exec->client != NULL) client_send(supervisor, exec->client, exec->id, BERTH_MSG_STARTED, &body);
}

static void channel_ended(struct supervisor *supervisor, struct exec *exec) {
  struct failure failure = {.stage = BERTH_STAGE_INIT, .error = ECHILD};
  drop_fd(&exec->channel);
  if (exec->is_ready && !exec->has_failed) {
    tell_started(supervisor, exec);
    return;
  }
  snprintf(failure.object, sizeof failure.object, "process");
  snprintf(failure.detail, sizeof failure.detail, "it ended while it was set up");
  fail(supervisor, exec, &failure);
}

static void take_terminal(struct exec *exec, int master) {
  if (exec->terminal >= 0 || exec->client == NULL) {
    close(master);
    return;
  }
  set_nonblocking(master);
  exec->terminal = master;
  exec->streams[0] = (struct stream){.fd = master, .number = 1};
}

static void read_channel(struct supervisor *supervisor, struct exec *exec) {
  struct channel_message message;
  while (exec->channel >= 0) {
    int got = channel_receive(exec->channel, &message, MSG_DONTWAIT);
    if (got == -EAGAIN) return;
    if (got <= 0) {
      channel_ended(supervisor, exec);
      return;
    }
    if (message.kind == CHANNEL_FAILED) fail(supervisor, exec, &message.body.failure);
    if (message.kind == CHANNEL_EXEC) exec->is_ready = true;
    if (message.kind == CHANNEL_TERMINAL && message.fd_count == 1) take_terminal(exec, message.fds[0]);
  }
}

static void channel_ready(void *owner, void *object, short events) {
  (void)events;
  read_channel(owner, object);
}

/* One read; false when there is nothing more for now. */
static bool pump(struct supervisor *supervisor, struct exec *exec, struct stream *stream) {
  uint8_t bytes[READ_BYTES];
  if (stream->fd < 0 || (exec->client != NULL && !client_has_room(exec->client))) return false;
  ssize_t got = read(stream->fd, bytes, sizeof bytes);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) {
    if (stream->fd == exec->terminal) exec->terminal = -1;
    drop_fd(&stream->fd);
    return false;
  }
  if (exec->has_ended) exec->drained += (size_t)got;
  if (exec->client != NULL && exec->is_started) {
    client_send_output(supervisor, exec->client, exec->id, stream->number, bytes, (size_t)got);
  }
  return true;
}

/* What was written before the end comes before EXITED; a client that is slow now is waited for in later rounds. */
static void finish(struct supervisor *supervisor, struct exec *exec) {
  for (size_t i = 0; i < 2; i++) {
    while (exec->drained < DRAIN_BYTES_MAX && pump(supervisor, exec, &exec->streams[i])) continue;
  }
  if (exec->client != NULL && !client_has_room(exec->client)) return;
  close_stdio(exec);
  if (exec->client != NULL && exec->is_started && (exec->flags & BERTH_EXEC_DETACH) == 0) {
    client_send_exit(supervisor, exec->client, exec->id, &exec->exit);
  }
  exec->client = NULL;
}

static void stream_ready(void *owner, void *object, short events) {
  struct supervisor *supervisor = owner;
  (void)events;
  for (struct exec *exec = supervisor->execs; exec != NULL; exec = exec->next) {
    for (size_t i = 0; i < 2; i++) {
      if (object == &exec->streams[i]) pump(supervisor, exec, &exec->streams[i]);
    }
  }
}

static void end_ready(void *owner, void *object, short events) {
  struct supervisor *supervisor = owner;
  struct exec *exec = object;
  (void)events;
  if (exec->has_ended) return;
  read_channel(supervisor, exec);
  exec->exit = exit_status_of_child(exec->pid);
  exec->has_ended = true;
  drop_fd(&exec->pidfd);
  if (exec->channel >= 0) channel_ended(supervisor, exec);
  finish(supervisor, exec);
}

void execs_watch(struct supervisor *supervisor) {
  struct poll_set *set = &supervisor->polled;
  uint64_t now = monotonic_ms();
  for (struct exec *exec = supervisor->execs; exec != NULL; exec = exec->next) {
    if (exec->has_ended) {
      finish(supervisor, exec);
      continue;
    }
    if (exec->kill_at_ms != 0 && exec->kill_at_ms <= now) {
      sys_pidfd_send_signal(exec->pidfd, SIGKILL);
      exec->kill_at_ms = 0;
    }
    poll_set_add(set, exec->channel, POLLIN, (struct poll_watch){channel_ready, supervisor, exec});
    for (size_t i = 0; i < 2; i++) {
      /* Held back while its client is slow: unlike the first process, an exec may wait for its reader. */
      if (!exec->is_started || (exec->client != NULL && !client_has_room(exec->client))) continue;
      poll_set_add(set, exec->streams[i].fd, POLLIN,
                   (struct poll_watch){stream_ready, supervisor, &exec->streams[i]});
    }
    poll_set_add(set, exec->pidfd, POLLIN, (struct poll_watch){end_ready, supervisor, exec});
  }
}

void execs_sweep(struct supervisor *supervisor) {
  struct exec **link = &supervisor->execs;
  while (*link != NULL) {
    struct exec *exec = *link;
    if (!exec->has_ended || exec->client != NULL) {
      link = &exec->next;
      continue;
    }
    *link = exec->next;
    supervisor->exec_count--;
    close_stdio(exec);
    drop_fd(&exec->channel);
    free(exec);
  }
}

static int open_stdio(struct exec *exec, struct program *program) {
  int error = 0;
  if ((exec->flags & (BERTH_EXEC_DETACH | BERTH_EXEC_TTY)) != 0) return 0;
  if ((exec->flags & BERTH_EXEC_STDIN) != 0) error = open_pipe(1, &exec->stdin_fd, &program->stdio[0]);
  for (int i = 0; i < 2 && error == 0; i++) {
    error = open_pipe(0, &exec->streams[i].fd, &program->stdio[i + 1]);
  }
  return error;
}

/* A program that fails after its process was made takes the process with it. */
static int run(struct supervisor *supervisor, struct exec *exec, struct program *program) {
  program->container_pidfd = supervisor->pidfd;
  program->root_uid = supervisor->root_uid;
  program->root_gid = supervisor->root_gid;
  int error = open_stdio(exec, program);
  if (error < 0) program->failure = (struct failure){.stage = BERTH_STAGE_SUPERVISOR, .error = -error};
  if (error == 0) error = program_run_host(program, BERTH_STAGE_SUPERVISOR);
  program_release(program);
  exec->pid = program->child;
  exec->pidfd = program->child_pidfd;
  exec->channel = program->channel;
  if (error == 0) return 0;
  if (exec->pid > 0) {
    sys_pidfd_send_signal(exec->pidfd, SIGKILL);
    exit_status_of_child(exec->pid);
  }
  drop_fd(&exec->pidfd);
  drop_fd(&exec->channel);
  close_stdio(exec);
  return error;
}

static struct exec *make(struct client *client, uint32_t flags) {
  struct exec *exec = calloc(1, sizeof *exec);
  if (exec == NULL) return NULL;
  exec->client = client;
  exec->id = client->inbox.header.id;
  exec->flags = flags;
  exec->stdin_fd = exec->terminal = exec->pidfd = exec->channel = -1;
  exec->streams[0] = (struct stream){.fd = -1, .number = 1};
  exec->streams[1] = (struct stream){.fd = -1, .number = 2};
  return exec;
}

void exec_begin(struct supervisor *supervisor, struct client *client) {
  struct wire_reader body = wire_reader_of(client->inbox.body, client->inbox.header.length);
  uint32_t flags = wire_u32(&body);
  uint32_t id = client->inbox.header.id;
  struct program program;
  size_t length = (size_t)(body.end - body.at);
  program_init(&program, id, body.at, length);
  program.failure.stage = BERTH_STAGE_SUPERVISOR;
  program.mapping = client->inbox.body;
  program.mapping_bytes = client->inbox.header.length;
  /* A container that is held is complete but for its program: others may be in it. */
  if (supervisor->state == CONTAINER_ENDED || supervisor->exec_count >= EXECS_MAX) {
    int error = supervisor->state == CONTAINER_ENDED ? ESRCH : EAGAIN;
    client_send_errno(supervisor, client, id, error, error == ESRCH ? "the container is not running" : "exec");
    return;
  }
  if (body.broken || program_check(PROGRAM_EXEC, body.at, length, &program.failure) < 0) {
    program.failure.error = EBADMSG;
    client_send_failure(supervisor, client, id, &program.failure);
    return;
  }
  struct exec *exec = make(client, flags);
  if (exec == NULL) {
    client_send_errno(supervisor, client, id, ENOMEM, "exec");
    return;
  }
  if (run(supervisor, exec, &program) < 0) {
    client_send_failure(supervisor, client, id, &program.failure);
    free(exec);
    return;
  }
  exec->next = supervisor->execs;
  supervisor->execs = exec;
  supervisor->exec_count++;
}
