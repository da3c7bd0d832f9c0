/* The container's log: a line of JSON for each line of output, as docker's json-file driver writes them. */
#ifndef BERTH_LOG_FILE_H
#define BERTH_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "place.h"

/* Output lines longer than this are split; the parts but the last lack the "\n". */
#define LOG_LINE_BYTES_MAX 16384

struct log_file {
  struct place place;
  int fd;              /* -1: nothing is logged */
  uint64_t bytes_max;  /* a file that has reached this is rotated before its next line */
  uint32_t files_max;  /* log, log.1, ... */
  uint64_t size;
  bool is_torn;        /* the last write was cut short: the next line begins on a line of its own */
  size_t used;
  char buffer[4096];   /* written out at the latest by log_file_flush() */
};

/* bytes_max 0: no log. 0 or -errno. */
int log_file_open(struct log_file *log, const char *path, uint64_t bytes_max, uint32_t files_max);
/* Opens the file anew, after somebody else has renamed it. 0 or -errno. */
int log_file_reopen(struct log_file *log);
/* `stream` is "stdout" or "stderr". What the disk does not take is lost: a container is not held up by its log. */
void log_file_line(struct log_file *log, const char *stream, const uint8_t *bytes, size_t length);
void log_file_flush(struct log_file *log);
void log_file_close(struct log_file *log);

/* Logs the whole lines at the start of the buffer, and the rest too when it is full or the output has ended.
 * Returns how many bytes remain, moved to the buffer's start. */
size_t log_file_lines(struct log_file *log, const char *stream, uint8_t *buffer, size_t length, int ended);

#endif
