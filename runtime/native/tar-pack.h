/* Files of this host on their way into an archive: what is the same for a layer and for a copy. */
#ifndef BERTH_TAR_PACK_H
#define BERTH_TAR_PACK_H

#include <sys/stat.h>

#include "copied-links.h"
#include "tar-writer.h"

/* What stat(2) says of it; `target` counts for links only. */
struct tar_entry tar_pack_entry(const struct stat *status, enum tar_kind kind, const char *path, const char *target);

/* `size` bytes of content behind a file's header, zeros where the file is shorter by now. 0 or -errno of the archive;
 * `unread`: errno of the file, which ends it. */
int tar_pack_content(struct tar_writer *writer, int fd, uint64_t size, int *unread);

/* 1: this file was met before, under the name that is copied to `first`. 0: from now on it is met, unless there are too
 * many: such a one is packed again under each of its names. -ENOMEM. */
int tar_pack_met(struct copied_links *links, const struct stat *status, const char *path, char *first, size_t first_size);

/* A name whose kind has changed since it was looked at counts as gone. */
bool tar_pack_is_gone(int error);

#endif
