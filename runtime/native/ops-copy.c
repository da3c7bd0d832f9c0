/* The last operation of a process that copies: it is in the container's namespaces, with no descriptor of the host's
 * but its pipes, and becomes no program. */
#include <unistd.h>

#include "copy-in.h"
#include "copy-out.h"
#include "copy-report.h"
#include "own-work.h"
#include "program.h"

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
  int error = own_work_begin(program);
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
  int error = own_work_begin(program);
  if (error < 0) return error;
  request.root = program->root_fd;
  end(copy_in(&request, 0, &failure), &failure);
}
