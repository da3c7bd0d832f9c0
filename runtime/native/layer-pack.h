/* Reading a tree into a tar archive: a container's root as it is, or what its writable layer changes, as an image layer
 * (OCI image-spec, layer.md). */
#ifndef BERTH_LAYER_PACK_H
#define BERTH_LAYER_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

struct layer_pack_request {
  int root;         /* a directory; its own attributes are no part of the archive */
  bool is_changes;  /* it is the upper directory of an overlay: whiteouts and opaque directories become .wh. files */
  uint32_t id_base; /* taken from every owner; ids that are not above it by less than 65,536 are refused */
  uint64_t bytes_max;
  uint32_t entries_max;
};

/*
 * Writes the archive to `fd`. Names come in the order of their bytes, so that the same tree gives the same archive.
 * Everything is opened by descriptor, without following a link. What vanishes meanwhile is left out, and so are sockets;
 * a file that shrinks is filled up with zeros. 0, or -1 with `failure` filled.
 */
int layer_pack(const struct layer_pack_request *request, int fd, struct failure *failure);

#endif
