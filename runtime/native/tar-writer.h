/* A streaming writer of tar archives: ustar headers, with pax records (POSIX.1-2017 pax(1)) for what does not fit
 * into them. The reader is tar-reader.h, whose entries it takes. */
#ifndef BERTH_TAR_WRITER_H
#define BERTH_TAR_WRITER_H

#include "tar-reader.h"

#define TAR_WRITER_BUFFER_BYTES 65536

struct tar_writer {
  int fd;
  size_t used;
  uint8_t *pax; /* TAR_PAX_BYTES_MAX bytes, made at first use */
  size_t pax_length;
  uint8_t buffer[TAR_WRITER_BUFFER_BYTES];
};

void tar_writer_open(struct tar_writer *writer, int fd);
/* The header of an entry; of a file, exactly entry->size bytes of content have to follow. 0 or -errno; -E2BIG when
 * its attributes are more than a reader takes. */
int tar_writer_entry(struct tar_writer *writer, const struct tar_entry *entry);
/* Content, or zeros when `bytes` is NULL. */
int tar_writer_content(struct tar_writer *writer, const void *bytes, uint64_t length);
/* Fills the last block of a file of this size. */
int tar_writer_pad(struct tar_writer *writer, uint64_t size);
/* Two empty blocks, and everything is written out. */
int tar_writer_finish(struct tar_writer *writer);
void tar_writer_close(struct tar_writer *writer);

#endif
