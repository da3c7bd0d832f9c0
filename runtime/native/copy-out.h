/* Sending a file or a directory as a tar archive: the source's side of a copy between a container and its host. */
#ifndef BERTH_COPY_OUT_H
#define BERTH_COPY_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "wire.h"

struct copy_out_request {
  int root;          /* where `path` is resolved inside of; -1: it is the host's own */
  const char *path;  /* a link at its end is sent itself, unless a slash follows it */
  bool follow;       /* what that link leads to is sent */
  const char *name;  /* of the source in the archive; "." where the receiver names it */
  uint64_t bytes_max; /* of file content */
  uint32_t entries_max;
};

/*
 * Writes the archive to `fd`. Everything is opened from its directory's descriptor, without following a link, and
 * only after its kind was looked at: whoever changes the tree meanwhile changes what is sent, and nothing else. What
 * vanishes meanwhile is left out, and so are sockets; a file that shrinks is filled up with zeros. Of file systems
 * that the kernel makes up (/proc, /sys) below the source only the directory is sent.
 * 0, or -1 with `failure` filled.
 */
int copy_out(const struct copy_out_request *request, int fd, struct failure *failure);

#endif
