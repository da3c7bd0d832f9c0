/* What brings an archive's bytes from its sender to the tar reader: where that is wanted, one process that hashes and keeps
 * them as they came, and behind it, where they are compressed, one that decodes them and can do nothing but read and write. */
#ifndef BERTH_LAYER_STREAM_H
#define BERTH_LAYER_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sha256.h"
#include "wire.h"

struct layer_source {
  int sender;          /* a socket; read to its end */
  bool has_keeper;     /* without one nobody hashes what comes */
  int kept;            /* the keeper's: an empty file for the bytes as they came, or -1 */
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
  int keeper_report;  /* -1: no keeper */
  int decoder_report; /* -1: no decoder */
  pid_t keeper;
  pid_t decoder;
  uint32_t encoding; /* as in its source */
};

/* Starts the processes; 0, or -1 with `failure` filled. The descriptors of `source` stay the caller's. */
int layer_stream_open(struct layer_stream *stream, const struct layer_source *source, struct failure *failure);
/* After the archive was read to its end: 0 with what came and is on the disk, or -1 with the reason why the end came early. */
int layer_stream_end(struct layer_stream *stream, struct layer_origin *origin, struct failure *failure);
/* After the tar reader failed: an archive that ended too early did so because of who brings it, who knows more. */
void layer_stream_explain(struct layer_stream *stream, struct failure *failure);
/* Ends what still runs. */
void layer_stream_close(struct layer_stream *stream);

#endif
