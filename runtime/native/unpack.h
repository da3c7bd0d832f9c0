/* Unpacking a layer's tar stream into a directory. */
#ifndef BERTH_UNPACK_H
#define BERTH_UNPACK_H

#include <stdint.h>

struct unpack_request {
  uint32_t id;             /* of the request: every message that belongs to it carries it */
  const char *socket_path; /* made with mode 0600, removed as soon as the client is there */
  const char *destination; /* an existing directory */
  uint32_t id_base;        /* added to every uid and gid of the layer */
  uint64_t bytes_max;      /* of file content */
  uint32_t entries_max;
};

/*
 * Runs in a child of the launcher, which owns nothing else. Listens on the path socket, sends DONE (or ERROR
 * with BERTH_STAGE_UNPACK) to report_fd with wire_send(), accepts one client of uid 0 (SO_PEERCRED), reads the
 * raw tar stream to its end, answers UNPACKED or ERROR on that connection. Returns the exit code of the child.
 */
int unpack_serve(const struct unpack_request *request, int report_fd);

#endif
