#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel.h"
#include "cleanup.h"
#include "program-schema.h"

void program_init(struct program *program, uint32_t id, const uint8_t *bytes, size_t length) {
  memset(program, 0, sizeof *program);
  program->id = id;
  program->rest = wire_reader_of(bytes, length);
  for (size_t slot = 0; slot < BERTH_SLOTS; slot++) program->slots[slot] = -1;
  for (size_t i = 0; i < 3; i++) program->stdio[i] = -1;
  program->report_fd = -1;
  program->root_uid = UINT32_MAX;
  program->root_gid = UINT32_MAX;
  program->container_pidfd = -1;
  program->child_pidfd = -1;
  program->channel = -1;
  program->root_fd = -1;
  program->attach_fd = -1;
  program->proc_fd = -1;
  program->console_socket = -1;
  program->seccomp_agent = -1;
  program->umask = 0022;
}

void program_release(struct program *program) {
  setfsgid(getegid());
  setfsuid(geteuid());
  if (program->undo == NULL) program_keep(program);
  for (size_t i = 0; i < 3; i++) drop_fd(&program->stdio[i]);
}

void program_keep(struct program *program) {
  program->undo = NULL;
  for (size_t slot = 0; slot < BERTH_SLOTS; slot++) {
    if (program->slots[slot] >= 0) drop_fd(&program->slots[slot]);
  }
}

int op_undo(struct program *program, struct wire_reader *payload) {
  uint32_t length;
  program->undo = wire_bytes(payload, &length);
  program->undo_bytes = length;
  return 0;
}

int program_fill_slot(struct program *program, uint32_t slot, int fd) {
  if (slot >= BERTH_SLOTS) {
    close(fd);
    return program_fails(program, -EBADMSG, "slot");
  }
  if (program->slots[slot] >= 0) close(program->slots[slot]);
  program->slots[slot] = fd;
  return 0;
}

int program_slot(const struct program *program, uint32_t slot) {
  if (slot >= BERTH_SLOTS || program->slots[slot] < 0) return -EBADF;
  return program->slots[slot];
}

void program_give_stdio(const struct program *program) {
  if (program->root_uid == UINT32_MAX || program->root_gid == UINT32_MAX) return;
  for (int i = 0; i < 3; i++) {
    struct stat status;
    /* An inherited one may be a file or a device of the host's: only a pipe is the payload's alone. */
    if (program->stdio[i] < 0 || fstat(program->stdio[i], &status) < 0 || !S_ISFIFO(status.st_mode)) continue;
    /* At worst the payload cannot open its own output a second time. */
    if (fchown(program->stdio[i], program->root_uid, program->root_gid) < 0) continue;
  }
}

int program_fails(struct program *program, int error, const char *object) {
  snprintf(program->failure.object, sizeof program->failure.object, "%s", object);
  return error;
}

void program_detail(struct program *program, const char *detail) {
  snprintf(program->failure.detail, sizeof program->failure.detail, "%s", detail);
}

static bool is_passed_over(const struct operation *operation, int error) {
  if ((operation->flags & BERTH_OPF_OPTIONAL) != 0) return true;
  if ((operation->flags & BERTH_OPF_MAY_BE_ABSENT) == 0) return false;
  return error == -ENOENT || error == -ENOTDIR;
}

static int run_operation(struct program *program, struct operation *operation, uint32_t stage) {
  program->failure.stage = stage;
  program->failure.op = operation->op;
  program->failure.object[0] = '\0';
  program->failure.detail[0] = '\0';
  int error = operation_schema_of(operation->op)->run(program, &operation->payload);
  if (error >= 0 || is_passed_over(operation, error)) return 0;
  program->failure.error = -error;
  return error;
}

void program_undo(struct program *program) {
  struct failure failure = program->failure;
  struct operation operation;
  if (program->undo == NULL) return;
  struct wire_reader rest = wire_reader_of(program->undo, program->undo_bytes);
  while (program_next(&rest, &operation)) run_operation(program, &operation, BERTH_STAGE_SUPERVISOR);
  program->failure = failure;
}

static _Noreturn void end_init(struct program *program) {
  if (program->answers_asker) {
    wire_send_failure(program->channel, program->id, &program->failure);
    _exit(127);
  }
  struct channel_message message = {.kind = CHANNEL_FAILED};
  message.body.failure = program->failure;
  channel_send(program->channel, &message);
  _exit(127);
}

/* The child's life between clone and exec. EXEC, the last operation, returns only when it fails. */
static _Noreturn void run_init(struct program *program) {
  struct operation operation;
  bool begun = false;
  int error = 0;
  while (error == 0 && program_next(&program->rest, &operation)) {
    if (begun) error = run_operation(program, &operation, BERTH_STAGE_INIT);
    begun = begun || operation.op == BERTH_OP_INIT_BEGIN;
  }
  end_init(program);
}

int program_run_host(struct program *program, uint32_t stage) {
  struct operation operation;
  while (program_next(&program->rest, &operation)) {
    if (operation.op == BERTH_OP_INIT_BEGIN) return 0;
    int error = run_operation(program, &operation, stage);
    if (program->is_init && error < 0) end_init(program);
    if (program->is_init) run_init(program);
    if (error < 0) return error;
  }
  return 0;
}
