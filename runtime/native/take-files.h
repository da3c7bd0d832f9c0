/* The life of the helper that takes the files out of the archive around an image: the blobs of an oci-archive, the layers
 * and documents of a docker-archive. */
#ifndef BERTH_TAKE_FILES_H
#define BERTH_TAKE_FILES_H

#include <stdint.h>

#include "layer-stream.h"

struct take_request {
  const char *socket_path;
  const char *destination; /* an existing, empty directory */
  uint64_t bytes_max;      /* of file content */
  uint32_t entries_max;
  uint32_t request_id;
  struct layer_source source; /* how the client sends the archive; its descriptors are filled in here */
};

/* Serves a client as BERTH_MSG_TAKE_FILES in protocol.h describes, and as one-client.h says. Nothing in the archive names
 * what is made: files are numbered. Exit status: 0 all taken, 1 failed. */
int take_files_serve(struct take_request *request, int report_fd);

#endif
