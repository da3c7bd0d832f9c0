/* Makes the entries of an archive in a layer's directory. */
#ifndef BERTH_LAYER_WRITER_H
#define BERTH_LAYER_WRITER_H

#include "layer-tree.h"
#include "tar-reader.h"

struct layer_limits {
  uint32_t id_base;
  uint64_t bytes_max;   /* of file content, holes included */
  uint32_t entries_max; /* implied directories included */
  bool end_may_lack;    /* as in tar_reader */
};

struct layer_result {
  uint64_t content_bytes;
  uint32_t entries;
  uint64_t archive_bytes;
  uint8_t digest[SHA256_BYTES]; /* of the archive: the DiffID */
};

/* Unpacks the archive that `source` gives into the tree, which is open and empty. Needs a umask of 0. Entries of
 * the OCI image-spec's layers: a later entry takes the place of an earlier one of the same name, directories
 * merge; `.wh.NAME` becomes overlay's whiteout, `.wh..wh..opq` its mark of an opaque directory, other names that
 * begin with `.wh..wh.` are passed over; a whiteout hides what lower layers have, never what this layer brings.
 * 0, or -1 with the tree's failure filled; what was made until then stays. */
int layer_write(struct layer_tree *tree, int source, const struct layer_limits *limits,
                struct layer_result *result);

#endif
