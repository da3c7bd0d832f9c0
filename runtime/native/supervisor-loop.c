/* A supervisor's life while its container runs, and the order in which it ends. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "cleanup.h"
#include "supervisor-state.h"

/* How long clients may take for what is left for them after the container's end, and to close then. */
#define LINGER_MS 3000
/* Of an ended container's output, where somebody else still holds the pipe and writes. */
#define DRAIN_READS_MAX 64

uint64_t monotonic_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags >= 0) fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int open_pipe(int ours, int *our_fd, int *their_fd) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
  set_nonblocking(ends[ours]);
  *our_fd = ends[ours];
  *their_fd = ends[1 - ours];
  return 0;
}

void wire_put_started(struct wire_writer *writer, pid_t pid) {
  wire_put_u32(writer, (uint32_t)pid);
  wire_put_u64(writer, process_start_time(pid));
  wire_put_u32(writer, (uint32_t)getpid());
  wire_put_u64(writer, process_start_time(getpid()));
}

static const char *stream_name(const struct stream *stream) { return stream->number == 1 ? "stdout" : "stderr"; }

static void end_stream(struct supervisor *supervisor, struct stream *stream, size_t index) {
  log_file_lines(&supervisor->log, stream_name(stream), supervisor->lines[index], supervisor->line_bytes[index], 1);
  supervisor->line_bytes[index] = 0;
  if (stream->fd == supervisor->terminal) supervisor->terminal = -1;
  drop_fd(&stream->fd);
}

/* Reads straight into the place where the unfinished line is. False when there is nothing more for now. */
static bool pump(struct supervisor *supervisor, size_t index) {
  struct stream *stream = &supervisor->streams[index];
  uint8_t *line = supervisor->lines[index];
  size_t have = supervisor->line_bytes[index];
  if (stream->fd < 0) return false;
  ssize_t got = read(stream->fd, line + have, LOG_LINE_BYTES_MAX - have);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) {
    /* A terminal answers EIO once nobody has it open; while held, that is before anybody has. */
    end_stream(supervisor, stream, index);
    return false;
  }
  clients_broadcast(supervisor, stream->number, line + have, (size_t)got);
  supervisor->line_bytes[index] =
      supervisor->log.fd < 0 ? 0
                             : log_file_lines(&supervisor->log, stream_name(stream), line, have + (size_t)got, 0);
  return true;
}

static void stream_ready(void *owner, void *object, short events) {
  struct supervisor *supervisor = owner;
  (void)events;
  pump(supervisor, object == &supervisor->streams[0] ? 0 : 1);
}

static void channel_ready(void *owner, void *object, short events) {
  struct supervisor *supervisor = owner;
  struct channel_message message;
  (void)object;
  (void)events;
  if (supervisor->channel < 0) return;
  int got = channel_receive(supervisor->channel, &message, MSG_DONTWAIT);
  if (got == -EAGAIN) return;
  if (got > 0 && message.kind == CHANNEL_FAILED) request_released(supervisor, &message.body.failure);
  if (got > 0 && message.kind == CHANNEL_EXEC) supervisor->is_ready = true;
  if (got > 0) return;
  drop_fd(&supervisor->channel);
  if (!supervisor->is_ready) return;
  supervisor->state = CONTAINER_RUNNING;
  request_released(supervisor, NULL);
}

static void release_fails(struct supervisor *supervisor) {
  struct failure failure = {.stage = BERTH_STAGE_INIT, .error = ECHILD};
  if (supervisor->releaser == NULL) return;
  snprintf(failure.object, sizeof failure.object, "container");
  snprintf(failure.detail, sizeof failure.detail, "it ended while it was held");
  request_released(supervisor, &failure);
}

/* First the log, then the record, then everybody who listens: who hears of the end finds all of it written. */
static void container_ended(void *owner, void *object, short events) {
  struct supervisor *supervisor = owner;
  (void)object;
  (void)events;
  while (supervisor->channel >= 0) channel_ready(supervisor, NULL, POLLIN);
  supervisor->exit = exit_status_of_child(supervisor->pid);
  for (size_t i = 0; i < 2; i++) {
    for (int reads = 0; reads < DRAIN_READS_MAX && pump(supervisor, i); reads++) continue;
    if (supervisor->streams[i].fd >= 0) end_stream(supervisor, &supervisor->streams[i], i);
  }
  log_file_close(&supervisor->log);
  exit_record_write(&supervisor->exit_place, &supervisor->exit);
  supervisor->state = CONTAINER_ENDED;
  supervisor->end_at_ms = monotonic_ms() + LINGER_MS;
  drop_fd(&supervisor->pidfd);
  drop_fd(&supervisor->stdin_fd);
  release_fails(supervisor);
  execs_kill_all(supervisor);
  clients_tell_exit(supervisor);
  /* Who connected before the socket goes is still served, if only to hear of the end. */
  clients_accept_all(supervisor);
  drop_fd(&supervisor->listener);
  unlinkat(supervisor->socket_place.directory, supervisor->socket_place.name, 0);
}

static void watch_container(struct supervisor *supervisor) {
  struct poll_set *set = &supervisor->polled;
  poll_set_add(set, supervisor->channel, POLLIN, (struct poll_watch){channel_ready, supervisor, NULL});
  if (owners_are_behind(supervisor, OUTPUT_BYTES_MAX)) return;
  for (size_t i = 0; i < 2; i++) {
    poll_set_add(set, supervisor->streams[i].fd, POLLIN,
                 (struct poll_watch){stream_ready, supervisor, &supervisor->streams[i]});
  }
}

static int timeout_ms(const struct supervisor *supervisor) {
  int execs = execs_timeout_ms(supervisor);
  if (supervisor->state != CONTAINER_ENDED) return execs;
  if (owners_are_behind(supervisor, 0)) return execs;
  uint64_t now = monotonic_ms();
  int linger = supervisor->end_at_ms > now ? (int)(supervisor->end_at_ms - now) : 0;
  return execs >= 0 && execs < linger ? execs : linger;
}

static bool is_over(const struct supervisor *supervisor) {
  if (supervisor->state != CONTAINER_ENDED) return false;
  if (owners_are_behind(supervisor, 0)) return false;
  if (monotonic_ms() >= supervisor->end_at_ms) return true;
  return supervisor->execs == NULL && supervisor->clients == NULL;
}

_Noreturn void supervisor_loop(struct supervisor *supervisor) {
  for (;;) {
    clients_sweep(supervisor);
    execs_watch(supervisor);
    execs_sweep(supervisor);
    if (supervisor->state == CONTAINER_ENDED && supervisor->execs == NULL) clients_say_goodbye(supervisor);
    if (is_over(supervisor)) _exit(0);
    watch_container(supervisor);
    clients_watch(supervisor);
    /* Last, because it ends what the others of this round act on. */
    poll_set_add(&supervisor->polled, supervisor->pidfd, POLLIN,
                 (struct poll_watch){container_ended, supervisor, NULL});
    poll_set_run(&supervisor->polled, timeout_ms(supervisor));
  }
}
