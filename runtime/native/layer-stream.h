/* What brings a layer's bytes from its sender to the tar reader: one process that hashes and keeps them as they came, and
 * behind it, where they are compressed, one that decodes them and can do nothing but read and write. */
#ifndef BERTH_LAYER_STREAM_H
#define BERTH_LAYER_STREAM_H

#include <stdint.h>
#include <sys/types.h>

#include "sha256.h"
#include "wire.h"

struct layer_source {
  int sender;          /* a socket; read to its end */
  int kept;            /* an empty file for the bytes as they came, or -1 */
  uint32_t encoding;   /* BERTH_ENCODING_* */
  uint64_t dense_from; /* decoded bytes beyond which there must be no more than `ratio_max` for one encoded */
  uint32_t ratio_max;
};

/* What the keeper saw. */
struct layer_origin {
  uint64_t bytes;
  uint8_t digest[SHA256_BYTES];
};

struct layer_stream {
  int archive; /* the plain archive is read from here */
  int keeper_report;
  int decoder_report; /* -1: no decoder */
  pid_t keeper;
  pid_t decoder;
  uint32_t encoding; /* as in its source */
};

/* Starts the processes; 0, or -1 with `failure` filled. The descriptors of `source` stay the caller's. */
int layer_stream_open(struct layer_stream *stream, const struct layer_source *source, struct failure *failure);
/* After the archive was read to its end: 0 with what came and is on the disk, or -1 with the reason why the end came early. */
int layer_stream_end(struct layer_stream *stream, struct layer_origin *origin, struct failure *failure);
/* Ends what still runs. */
void layer_stream_close(struct layer_stream *stream);

#endif
