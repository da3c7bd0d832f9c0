/* The life of the helper that turns one tar stream into a layer directory. */
#ifndef BERTH_UNPACK_H
#define BERTH_UNPACK_H

#include <stdbool.h>
#include <stdint.h>

#include "layer-stream.h"

struct unpack_request {
  const char *socket_path;
  const char *destination; /* an existing, empty directory */
  uint32_t id_base;        /* owner on disk = id_base + id in the archive */
  uint64_t bytes_max;      /* of file content, holes included */
  uint32_t entries_max;    /* inodes, implied directories included */
  bool end_may_lack;       /* as in layer_limits */
  uint32_t request_id;
  struct layer_source source; /* how the client sends the archive; its descriptors are filled in here */
  const char *kept_path;      /* what the client sends is also written there, into a new file; "": it is not kept */
};

/* Serves a client as BERTH_MSG_UNPACK in protocol.h describes, and as one-client.h says. Exit status: 0 unpacked, 1 failed. */
int unpack_serve(struct unpack_request *request, int report_fd);

#endif
