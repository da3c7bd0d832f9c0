/* Receiving a tar archive: the destination's side of a copy between a container and its host. Which of the two sent
 * it, and what it says, is not trusted on either side. */
#ifndef BERTH_COPY_IN_H
#define BERTH_COPY_IN_H

#include <stdint.h>
#include <sys/types.h>

#include "wire.h"

struct copy_in_request {
  int root;          /* where `path` is resolved inside of; -1: it is the host's own */
  const char *path;  /* of the destination */
  const char *name;  /* what the source is called in a directory that is there already */
  uint32_t flags;    /* BERTH_COPY_CONTENTS, _EXTRACT, _KEEP_IDS */
  uint64_t bytes_max; /* of file content, holes included */
  uint32_t entries_max;
  mode_t mask;       /* bits that a mode loses where ids are not kept */
  int notes;         /* where a line is written for each entry that is left out */
};

/*
 * Reads the archive from `fd` to its end. Without EXTRACT its first entry is the source itself, named ".", and all
 * others lie in it; where it is put follows docker-cp(1). With EXTRACT the entries are put into the destination, which
 * is a directory.
 *
 * A new file is made under its name, or under another one that then takes the place of the old file; a directory is
 * merged into one that is there, whose owner and mode stay. On the host's side a name in the archive is resolved
 * beneath the destination and through no link, set-id bits are taken away, and devices and attributes that mean
 * something to the kernel are left out. In a container, links lead where they lead for the container.
 * 0, or -1 with `failure` filled; what was made until then stays.
 */
int copy_in(const struct copy_in_request *request, int fd, struct failure *failure);

#endif
