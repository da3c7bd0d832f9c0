/* One container's keeper: places it, pumps its output, serves attach and exec, records how it ended. */
#ifndef BERTH_SUPERVISOR_H
#define BERTH_SUPERVISOR_H

#include <stddef.h>
#include <stdint.h>

struct start_request {
  uint32_t id;
  const char *container_id;
  const char *socket_path;
  const char *exit_path;
  const char *log_path;
  uint64_t log_bytes_max;
  uint32_t log_files_max;
  uint32_t flags;
  const uint8_t *program;
  size_t program_bytes;
  void *mapping; /* the message; given back once the container runs */
  size_t mapping_bytes;
};

/* Runs in a child of the launcher, with the host's rights, and outlives it. Sends STARTED or ERROR to report_fd and
 * closes it. */
_Noreturn void supervisor_run(struct start_request *request, int report_fd);

#endif
