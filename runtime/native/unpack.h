/* The life of the helper that turns one tar stream into a layer directory. */
#ifndef BERTH_UNPACK_H
#define BERTH_UNPACK_H

#include <stdbool.h>
#include <stdint.h>

struct unpack_request {
  const char *socket_path; /* made here with mode 0600, gone once the client is connected */
  const char *destination; /* an existing, empty directory */
  uint32_t id_base;        /* owner on disk = id_base + id in the archive */
  uint64_t bytes_max;      /* of file content, holes included */
  uint32_t entries_max;    /* inodes, implied directories included */
  uint32_t request_id;     /* echoed in every message */
  uint32_t encoding;       /* BERTH_ENCODING_*: how the client sends the archive */
  const char *kept_path;   /* what the client sends is also written there, into a new file; "": it is not kept */
  uint64_t dense_from;     /* decoded bytes beyond which there must be no more than `ratio_max` for one encoded */
  uint32_t ratio_max;
};

/* Runs in a child of the launcher, as host root. Gives up every privilege that unpacking does not need, listens
 * on the socket, writes one DONE (or ERROR) message to report_fd, closes every descriptor that it was born with
 * except stderr, then serves exactly one client as BERTH_MSG_UNPACK in protocol.h describes. A client that does
 * not come within a minute is waited for no longer. Returns the exit status of the child: 0 unpacked, 1 failed. */
int unpack_serve(const struct unpack_request *request, int report_fd);

#endif
