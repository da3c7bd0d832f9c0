/* A streaming reader of tar archives: ustar, GNU, pax, star and V7 headers, from a pipe or socket, within one
 * bounded buffer. It knows nothing of the file system. Sources: POSIX.1-2017 pax(1); GNU tar manual, appendix
 * "Tar Internals"; libarchive tar(5). */
#ifndef BERTH_TAR_READER_H
#define BERTH_TAR_READER_H

#include <limits.h>

#include "sha256.h"
#include "tar-pax.h"

#define TAR_BLOCK_BYTES 512

enum tar_kind {
  TAR_FILE,
  TAR_HARD_LINK,
  TAR_SYMLINK,
  TAR_CHARACTER_DEVICE,
  TAR_BLOCK_DEVICE,
  TAR_DIRECTORY,
  TAR_FIFO
};

/* Strings are the archive's bytes, valid until the next tar_next(). Nothing in here has been judged. */
struct tar_entry {
  enum tar_kind kind;
  const char *path;
  const char *target; /* of links */
  uint64_t uid;
  uint64_t gid;
  uint32_t mode; /* permission bits only */
  struct timespec mtime;
  uint64_t size; /* of a file, holes included */
  bool sparse;
  uint32_t major;
  uint32_t minor;
  const struct tar_xattr *xattrs;
  size_t xattr_count;
};

/* A piece of a file's content, valid until the next call. */
struct tar_chunk {
  uint64_t offset;
  const uint8_t *bytes;
  size_t length;
};

struct tar_reader {
  int fd;
  uint64_t bytes_max;   /* of the whole archive */
  uint64_t bytes_taken; /* so far, including what waits in the buffer */
  bool end_may_lack;    /* the end's blocks and the last padding: umoci writes none. Only for what a digest is known of */
  uint8_t *buffer;
  size_t start;
  size_t end;
  struct pax local;
  struct pax global;
  char name[PATH_MAX + 1];
  char target[PATH_MAX + 1];
  bool has_long_name;
  bool has_long_target;
  struct tar_spans spans; /* of the current file */
  size_t span_at;
  uint64_t span_done;
  uint64_t stored_left; /* bytes of the current entry still in the stream */
  size_t padding;
  struct sha256 *hash; /* of all that is read; may be NULL */
  struct failure *failure;
};

/* 0, or -1 with `failure` filled. `failure` serves every later call too. */
int tar_open(struct tar_reader *reader, int fd, uint64_t bytes_max, struct failure *failure);
/* 1: an entry; 0: the archive ended as it should; -1: failure. Skips what was not read of the entry before. */
int tar_next(struct tar_reader *reader, struct tar_entry *entry);
/* 1: a chunk of the current file, in ascending order; 0: no more; -1: failure. */
int tar_next_chunk(struct tar_reader *reader, struct tar_chunk *chunk);
void tar_close(struct tar_reader *reader);

#endif
