/* Supervisor and init wait for each other, and hand over descriptors. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "cleanup.h"
#include "init-ids.h"
#include "program.h"

int op_pass_fds(struct program *program, struct wire_reader *payload) {
  struct channel_message message = {.kind = CHANNEL_FDS};
  (void)payload;
  if (program->child == 0) return program_fails(program, -ESRCH, "descriptors");
  for (uint32_t slot = 0; slot < BERTH_SLOTS; slot++) {
    if (program->slots[slot] < 0) continue;
    message.body.slots[message.fd_count] = (uint8_t)slot;
    message.fds[message.fd_count++] = program->slots[slot];
  }
  int error = channel_send(program->channel, &message);
  if (error < 0) return program_fails(program, error, "descriptors");
  for (uint32_t slot = 0; slot < BERTH_SLOTS; slot++) drop_fd(&program->slots[slot]);
  return 0;
}

int op_notify(struct program *program, struct wire_reader *payload) {
  const char *other = program->is_init ? "the supervisor" : "the init";
  (void)payload;
  if (!program->is_init && program->child == 0) return program_fails(program, -ESRCH, other);
  int error = channel_send_kind(program->channel, CHANNEL_NOTIFY);
  return error < 0 ? program_fails(program, error, other) : 0;
}

/* Without its supervisor, set-up has no sense and nobody to report to. */
static int receive_kind(struct program *program, enum channel_kind kind, struct channel_message *message) {
  int got = channel_receive(program->channel, message, 0);
  if (got == 0) _exit(127);
  if (got < 0) return program_fails(program, got, "the supervisor");
  return message->kind == kind ? 0 : program_fails(program, -EPROTO, "order of AWAIT and TAKE_FDS");
}

int op_take_fds(struct program *program, struct wire_reader *payload) {
  struct channel_message message;
  (void)payload;
  int error = receive_kind(program, CHANNEL_FDS, &message);
  for (size_t i = 0; error == 0 && i < message.fd_count; i++) {
    error = program_fill_slot(program, message.body.slots[i], message.fds[i]);
  }
  return error;
}

/* The init may fail instead: its reason is then the program's. */
static int await_init(struct program *program) {
  struct channel_message message;
  if (program->child == 0) return program_fails(program, -ESRCH, "the init");
  int got = channel_receive(program->channel, &message, 0);
  if (got == 1 && message.kind == CHANNEL_NOTIFY) return 0;
  if (got != 1 || message.kind != CHANNEL_FAILED) return program_fails(program, -ECHILD, "the init");
  program->failure = message.body.failure;
  return message.body.failure.error > 0 ? -message.body.failure.error : -ECHILD;
}

/* What the supervisor does before NOTIFY is mostly the id map: from then on the init can be its root. */
int op_await(struct program *program, struct wire_reader *payload) {
  struct channel_message message;
  (void)payload;
  if (!program->is_init) return await_init(program);
  int error = receive_kind(program, CHANNEL_NOTIFY, &message);
  if (error < 0) return error;
  error = become_namespace_root();
  return error < 0 ? program_fails(program, error, "ids of the container's root") : 0;
}

int op_hold(struct program *program, struct wire_reader *payload) {
  struct channel_message message;
  (void)payload;
  if (!program->holds) return 0;
  int error = channel_send_kind(program->channel, CHANNEL_HELD);
  return error < 0 ? error : receive_kind(program, CHANNEL_RELEASE, &message);
}

/* The right to write there was the supervisor's, when it opened the file: the kernel asks for no other. */
int op_cgroup_enter(struct program *program, struct wire_reader *payload) {
  int tasks = program_slot(program, wire_u32(payload));
  if (tasks < 0) return program_fails(program, tasks, "cgroup");
  return write(tasks, "0", 1) == 1 ? 0 : program_fails(program, -errno, "cgroup");
}
