#include "log-file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "wire.h"

#define FILES_MAX 1000

static int open_current(struct log_file *log) {
  struct stat status;
  OWNED_FD fd = openat(log->place.directory, log->place.name,
                       O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
  if (fd < 0 || fstat(fd, &status) < 0) return -errno;
  log->fd = steal_fd(&fd);
  log->size = (uint64_t)status.st_size;
  return 0;
}

int log_file_open(struct log_file *log, const char *path, uint64_t bytes_max, uint32_t files_max) {
  log->fd = -1;
  log->used = 0;
  log->is_torn = false;
  log->place = NO_PLACE;
  if (bytes_max == 0) return 0;
  log->bytes_max = bytes_max;
  log->files_max = files_max > FILES_MAX ? FILES_MAX : files_max;
  int error = place_open(&log->place, path);
  return error < 0 ? error : open_current(log);
}

int log_file_reopen(struct log_file *log) {
  if (log->place.directory < 0) return 0;
  log_file_flush(log);
  drop_fd(&log->fd);
  return open_current(log);
}

void log_file_close(struct log_file *log) {
  log_file_flush(log);
  drop_fd(&log->fd);
  place_close(&log->place);
}

void log_file_flush(struct log_file *log) {
  if (log->fd >= 0 && log->used > 0 && wire_write_all(log->fd, log->buffer, log->used) < 0) log->is_torn = true;
  log->used = 0;
}

/* log.N-1 becomes log.N, the oldest is replaced, and the log begins anew. With one file it is emptied. */
static void rotate(struct log_file *log) {
  char from[NAME_MAX + 1], to[NAME_MAX + 1];
  log_file_flush(log);
  log->size = 0;
  if (log->files_max <= 1) {
    if (ftruncate(log->fd, 0) < 0) return;
    return;
  }
  for (uint32_t number = log->files_max - 1; number > 0; number--) {
    snprintf(to, sizeof to, "%s.%u", log->place.name, number);
    snprintf(from, sizeof from, number == 1 ? "%s" : "%s.%u", log->place.name, number - 1);
    renameat(log->place.directory, from, log->place.directory, to);
  }
  drop_fd(&log->fd);
  open_current(log);
}

static void put(struct log_file *log, const char *bytes, size_t length) {
  if (length > sizeof log->buffer - log->used) log_file_flush(log);
  memcpy(log->buffer + log->used, bytes, length);
  log->used += length;
  log->size += length;
}

/* Length of the valid UTF-8 sequence at `at`, 0 when there is none (RFC 3629: no overlong forms, no surrogates). */
static size_t sequence_length(const uint8_t *at, const uint8_t *end) {
  size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;
  if (length == 0 || (size_t)(end - at) < length) return 0;
  for (size_t i = 1; i < length; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
  }
  if (at[0] == 0xe0 && at[1] < 0xa0) return 0;
  if (at[0] == 0xed && at[1] > 0x9f) return 0;
  if (at[0] == 0xf0 && at[1] < 0x90) return 0;
  if (at[0] == 0xf4 && at[1] > 0x8f) return 0;
  return length;
}

static void put_control(struct log_file *log, uint8_t byte) {
  static const char digits[] = "0123456789abcdef";
  char escaped[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
  switch (byte) {
    case '\n': put(log, "\\n", 2); break;
    case '\r': put(log, "\\r", 2); break;
    case '\t': put(log, "\\t", 2); break;
    case '"': put(log, "\\\"", 2); break;
    case '\\': put(log, "\\\\", 2); break;
    default: put(log, escaped, sizeof escaped); break;
  }
}

static bool is_plain(uint8_t byte) { return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\'; }

static void put_escaped(struct log_file *log, const uint8_t *at, size_t length) {
  const uint8_t *end = at + length;
  while (at < end) {
    size_t plain = 0;
    while (at + plain < end && plain < 1024 && is_plain(at[plain])) plain++;
    if (plain > 0) put(log, (const char *)at, plain);
    at += plain;
    if (plain > 0) continue;
    size_t sequence = sequence_length(at, end);
    if (sequence == 0) put(log, "\\ufffd", 6);
    else if (sequence == 1) put_control(log, *at);
    else put(log, (const char *)at, sequence);
    at += sequence == 0 ? 1 : sequence;
  }
}

/* Days since 1970-01-01 to a date of the proleptic Gregorian calendar, in years that begin with March, so that the
 * leap day comes last. The C library's own way would look for a time zone file. */
static void format_time(char text[40]) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  unsigned long long seconds = (unsigned long long)now.tv_sec;
  unsigned long long days = seconds / 86400 + 719468;
  unsigned era_day = (unsigned)(days % 146097);
  unsigned era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
  unsigned year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
  unsigned shifted = (5 * year_day + 2) / 153;
  unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;
  unsigned year = (unsigned)(days / 146097) * 400 + era_year + (month <= 2);
  unsigned second = (unsigned)(seconds % 86400);
  snprintf(text, 40, "%04u-%02u-%02uT%02u:%02u:%02u.%09luZ", year, month, year_day - (153 * shifted + 2) / 5 + 1,
           second / 3600, second / 60 % 60, second % 60, (unsigned long)now.tv_nsec);
}

void log_file_line(struct log_file *log, const char *stream, const uint8_t *bytes, size_t length) {
  char tail[96];
  char time[40];
  if (log->fd < 0) return;
  if (log->size >= log->bytes_max) rotate(log);
  if (log->fd < 0) return;
  format_time(time);
  if (log->is_torn) put(log, "\n", 1);
  log->is_torn = false;
  put(log, "{\"log\":\"", 8);
  put_escaped(log, bytes, length);
  int tail_length = snprintf(tail, sizeof tail, "\",\"stream\":\"%s\",\"time\":\"%s\"}\n", stream, time);
  put(log, tail, (size_t)tail_length);
}

/* Where to cut a full buffer, so that no character is split: before a sequence that has begun but not ended. */
static size_t cut_length(const uint8_t *buffer, size_t length) {
  for (size_t back = 1; back <= 3 && back < length; back++) {
    uint8_t byte = buffer[length - back];
    if (byte < 0x80) return length;
    if (byte < 0xc0) continue;
    size_t wanted = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return wanted > back ? length - back : length;
  }
  return length;
}

size_t log_file_lines(struct log_file *log, const char *stream, uint8_t *buffer, size_t length, int ended) {
  size_t start = 0;
  for (;;) {
    const uint8_t *newline = memchr(buffer + start, '\n', length - start);
    if (newline == NULL) break;
    size_t end = (size_t)(newline - buffer) + 1;
    log_file_line(log, stream, buffer + start, end - start);
    start = end;
  }
  if (start < length && (ended || length - start == LOG_LINE_BYTES_MAX)) {
    size_t cut = ended ? length - start : cut_length(buffer + start, length - start);
    log_file_line(log, stream, buffer + start, cut);
    start += cut;
  }
  if (start > 0 && start < length) memmove(buffer, buffer + start, length - start);
  log_file_flush(log);
  return length - start;
}
