/* Fuzzing: the check of a program, and reading what it has let through. The first byte says where the program comes from. */
#include <errno.h>
#include <stdlib.h>

#include "fuzz.h"
#include "../../runtime/native/program-schema.h"

/* A string list is read by a count that the check has to have judged. */
static void read_strings(struct operation *operation) {
  if (operation->op != BERTH_OP_EXEC && operation->op != BERTH_OP_FIND) return;
  for (int lists = 0; lists < 2; lists++) free(program_string_list(&operation->payload));
  MUST(wire_is_done(&operation->payload));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct failure failure = {0};
  struct operation operation;
  if (length < 1) return 0;
  int error = program_check((enum program_kind)(bytes[0] % 3), bytes + 1, length - 1, &failure);
  program_makes_container(bytes + 1, length - 1);
  MUST(error == 0 || (error == -EBADMSG && failure.error == EBADMSG && failure.detail[0] != '\0'));
  if (error != 0) return 0;
  struct wire_reader rest = wire_reader_of(bytes + 1, length - 1);
  while (program_next(&rest, &operation)) {
    MUST(operation_schema_of(operation.op) != NULL);
    read_strings(&operation);
  }
  MUST(wire_is_done(&rest));
  return 0;
}
