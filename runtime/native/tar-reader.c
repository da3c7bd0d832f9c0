#include "tar-reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES 1048576

/* The 512 bytes of a header. The prefix means something in ustar only; GNU has times and the sparse map there. */
struct tar_header {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, target[100], magic[6],
      version[2], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};

#define GNU_SPARSE_AT 386
#define GNU_SPARSE_SPANS 4
#define GNU_EXTENDED_AT 482
#define GNU_REAL_SIZE_AT 483
#define GNU_MORE_SPANS 21
#define GNU_MORE_EXTENDED_AT 504

static uint8_t *header_bytes(struct tar_header *header) { return (uint8_t *)header; }

__attribute__((format(printf, 3, 4))) static int fail(struct tar_reader *reader, int error,
                                                      const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reader->failure->detail, sizeof reader->failure->detail, format, arguments);
  va_end(arguments);
  reader->failure->error = error;
  return -1;
}

static int malformed(struct tar_reader *reader, const char *reason) {
  uint64_t at = reader->bytes_taken - (reader->end - reader->start);
  return fail(reader, EBADMSG, "the archive is malformed before byte %llu: %s", (unsigned long long)at,
              reason);
}

/* Reads once more into the buffer: bytes got, 0 at the end of the stream, -1. */
static ssize_t fill(struct tar_reader *reader) {
  if (reader->start == reader->end) reader->start = reader->end = 0;
  if (reader->end == BUFFER_BYTES) {
    memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
    reader->end -= reader->start;
    reader->start = 0;
  }
  ssize_t got;
  do got = read(reader->fd, reader->buffer + reader->end, BUFFER_BYTES - reader->end);
  while (got < 0 && errno == EINTR);
  if (got < 0) return fail(reader, errno, "cannot read the archive");
  if (reader->hash != NULL) sha256_add(reader->hash, reader->buffer + reader->end, (size_t)got);
  reader->end += (size_t)got;
  reader->bytes_taken += (uint64_t)got;
  if (reader->bytes_taken > reader->bytes_max)
    return fail(reader, EFBIG, "the archive is longer than the limit of %llu bytes",
                (unsigned long long)reader->bytes_max);
  return got;
}

/* `length` bytes in one piece (at most a quarter of the buffer), or NULL. */
static uint8_t *take(struct tar_reader *reader, size_t length) {
  while (reader->end - reader->start < length) {
    ssize_t got = fill(reader);
    if (got == 0) fail(reader, ENODATA, "the archive is truncated");
    if (got <= 0) return NULL;
  }
  reader->start += length;
  return reader->buffer + reader->start - length;
}

static int skip(struct tar_reader *reader, uint64_t length) {
  while (length > 0) {
    size_t there = reader->end - reader->start;
    if (there == 0) {
      ssize_t got = fill(reader);
      if (got == 0) return fail(reader, ENODATA, "the archive is truncated");
      if (got < 0) return -1;
      continue;
    }
    size_t part = length < there ? (size_t)length : there;
    reader->start += part;
    length -= part;
  }
  return 0;
}

static bool is_zero(const uint8_t *bytes, size_t length) {
  return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* After the first block of zeros: nothing else may follow. */
static int take_end(struct tar_reader *reader) {
  for (;;) {
    if (!is_zero(reader->buffer + reader->start, reader->end - reader->start))
      return malformed(reader, "there is something behind its end");
    reader->start = reader->end;
    ssize_t got = fill(reader);
    if (got <= 0) return (int)got;
  }
}

/* Some old writers summed signed bytes. */
static bool checksum_fits(const struct tar_header *header, uint64_t wanted) {
  const uint8_t *bytes = (const uint8_t *)header;
  size_t from = offsetof(struct tar_header, checksum), to = from + sizeof header->checksum;
  int64_t unsigned_sum = 0, signed_sum = 0;
  for (size_t i = 0; i < TAR_BLOCK_BYTES; i++) {
    uint8_t byte = i >= from && i < to ? ' ' : bytes[i];
    unsigned_sum += byte;
    signed_sum += (int8_t)byte;
  }
  return unsigned_sum == (int64_t)wanted || signed_sum == (int64_t)wanted;
}

/* Octal digits between blanks and NULs, or GNU's base 256 in two's complement when the first bit is set. */
static int parse_number(const char *field, size_t length, int64_t *number) {
  const uint8_t *bytes = (const uint8_t *)field;
  int64_t value = 0;
  if (bytes[0] & 0x80) {
    value = (int64_t)(bytes[0] & 0x3f) - (bytes[0] & 0x40);
    for (size_t i = 1; i < length; i++)
      if (__builtin_mul_overflow(value, (int64_t)256, &value) ||
          __builtin_add_overflow(value, (int64_t)bytes[i], &value))
        return -1;
    *number = value;
    return 0;
  }
  size_t i = 0;
  while (i < length && (field[i] == ' ' || field[i] == 0)) i++;
  for (; i < length && field[i] >= '0' && field[i] <= '7'; i++) {
    if (value >> 60) return -1;
    value = value << 3 | (field[i] - '0');
  }
  for (; i < length; i++)
    if (field[i] != ' ' && field[i] != 0) return -1;
  *number = value;
  return 0;
}

static int take_unsigned(struct tar_reader *reader, const char *field, size_t length, const char *name,
                         uint64_t *number) {
  int64_t value;
  if (parse_number(field, length, &value) < 0 || value < 0) {
    char reason[64];
    snprintf(reason, sizeof reason, "the %s in a header is no number", name);
    return malformed(reader, reason);
  }
  *number = (uint64_t)value;
  return 0;
}

static void copy_field(char *to, const char *field, size_t length) {
  size_t used = strnlen(field, length);
  memcpy(to, field, used);
  to[used] = 0;
}

static bool is_ustar(const struct tar_header *header) { return memcmp(header->magic, "ustar", 6) == 0; }

static bool is_gnu(const struct tar_header *header) {
  return memcmp(header->magic, "ustar ", 6) == 0 && memcmp(header->version, " ", 2) == 0;
}

/* star's prefix ends earlier, two times stand behind it and "tar" closes the block. */
static void copy_path(char *to, const struct tar_header *header) {
  size_t length = memcmp(header->rest + 8, "tar", 4) == 0 ? 131 : sizeof header->prefix;
  if (is_ustar(header) && header->prefix[0]) {
    copy_field(to, header->prefix, length);
    to += strlen(to);
    *to++ = '/';
  }
  copy_field(to, header->name, sizeof header->name);
}

/* The body of GNU's L and K: a name that ends with the body or a NUL in it. */
static int take_long_name(struct tar_reader *reader, uint64_t size, char *to, bool *has) {
  if (size > PATH_MAX) return fail(reader, ENAMETOOLONG, "a name in the archive is too long");
  uint8_t *bytes = take(reader, (size_t)size);
  if (bytes == NULL) return -1;
  copy_field(to, (const char *)bytes, (size_t)size);
  *has = true;
  return skip(reader, (TAR_BLOCK_BYTES - size % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES);
}

static int take_pax(struct tar_reader *reader, uint64_t size, struct pax *pax) {
  pax_clear(pax);
  if (size > TAR_PAX_BYTES_MAX) return fail(reader, EFBIG, "an extended header is longer than 1 MiB");
  if (pax->text == NULL) pax->text = malloc(TAR_PAX_BYTES_MAX);
  if (pax->text == NULL) return fail(reader, ENOMEM, "cannot hold an extended header");
  while (pax->length < size) {
    size_t part = size - pax->length < 65536 ? (size_t)size - pax->length : 65536;
    uint8_t *bytes = take(reader, part);
    if (bytes == NULL) return -1;
    memcpy(pax->text + pax->length, bytes, part);
    pax->length += part;
  }
  if (pax_parse(pax, reader->failure) < 0) return -1;
  return skip(reader, (TAR_BLOCK_BYTES - size % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES);
}

/* What the extended headers say of a key; NULL when the plain header counts. */
static const char *pax_value(const struct tar_reader *reader, enum pax_key key) {
  const char *value = reader->local.values[key];
  if (value == NULL && key < PAX_SPARSE_MAJOR) value = reader->global.values[key];
  return value != NULL && *value ? value : NULL;
}

static int override_number(struct tar_reader *reader, enum pax_key key, const char *name,
                           uint64_t *number) {
  const char *value = pax_value(reader, key);
  if (value == NULL || pax_number(value, number) == 0) return 0;
  char reason[64];
  snprintf(reason, sizeof reason, "the %s in an extended header is no number", name);
  return malformed(reader, reason);
}

static int add_span(struct tar_reader *reader, const uint8_t *field) {
  uint64_t offset = 0, length = 0;
  if (field[0] == 0) return 0;
  if (take_unsigned(reader, (const char *)field, 12, "sparse offset", &offset) < 0 ||
      take_unsigned(reader, (const char *)field + 12, 12, "sparse length", &length) < 0)
    return -1;
  return tar_spans_add(&reader->spans, offset, length) < 0 ? malformed(reader, "too many sparse parts") : 0;
}

/* Type S: four parts in the header itself, more in blocks behind it that count to no size. */
static int take_gnu_sparse(struct tar_reader *reader, struct tar_header *header, uint64_t *real_size) {
  const uint8_t *bytes = header_bytes(header);
  if (!is_gnu(header)) return malformed(reader, "a sparse file in an archive that is not GNU's");
  if (take_unsigned(reader, (const char *)bytes + GNU_REAL_SIZE_AT, 12, "real size", real_size) < 0) return -1;
  for (size_t i = 0; i < GNU_SPARSE_SPANS; i++)
    if (add_span(reader, bytes + GNU_SPARSE_AT + 24 * i) < 0) return -1;
  bool more = bytes[GNU_EXTENDED_AT] != 0;
  while (more) {
    const uint8_t *block = take(reader, TAR_BLOCK_BYTES);
    if (block == NULL) return -1;
    for (size_t i = 0; i < GNU_MORE_SPANS; i++)
      if (add_span(reader, block + 24 * i) < 0) return -1;
    more = block[GNU_MORE_EXTENDED_AT] != 0;
  }
  return 0;
}

/* One decimal line of the map that format 1.0 puts before the content. */
static int take_map_line(struct tar_reader *reader, uint64_t *taken, uint64_t *number) {
  char line[24];
  for (size_t length = 0; length < sizeof line; length++) {
    if (*taken == reader->stored_left) break;
    const uint8_t *byte = take(reader, 1);
    if (byte == NULL) return -1;
    ++*taken;
    line[length] = (char)*byte;
    if (*byte != '\n') continue;
    line[length] = 0;
    if (pax_number(line, number) == 0) return 0;
    break;
  }
  return malformed(reader, "the sparse map is wrong");
}

static int take_sparse_map(struct tar_reader *reader) {
  uint64_t taken = 0, count = 0, offset = 0, length = 0;
  if (take_map_line(reader, &taken, &count) < 0) return -1;
  for (; count > 0; count--) {
    if (take_map_line(reader, &taken, &offset) < 0 || take_map_line(reader, &taken, &length) < 0) return -1;
    if (tar_spans_add(&reader->spans, offset, length) < 0) return malformed(reader, "too many sparse parts");
  }
  uint64_t rest = (TAR_BLOCK_BYTES - taken % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES;
  if (taken + rest > reader->stored_left) return malformed(reader, "the sparse map is wrong");
  reader->stored_left -= taken + rest;
  return skip(reader, rest);
}

/* GNU.sparse records: 1.0 has its map before the content, 0.1 in one record, 0.0 in many. */
static int take_pax_sparse(struct tar_reader *reader, struct tar_entry *entry) {
  const char *major = pax_value(reader, PAX_SPARSE_MAJOR), *minor = pax_value(reader, PAX_SPARSE_MINOR);
  const char *map = pax_value(reader, PAX_SPARSE_MAP), *name = pax_value(reader, PAX_SPARSE_NAME);
  bool map_first = major && minor && strcmp(major, "1") == 0 && strcmp(minor, "0") == 0;
  bool map_in_records = map != NULL || reader->local.spans.count > 0;
  if (major && strcmp(major, "0") != 0 && !map_first) return malformed(reader, "an unknown sparse format");
  if (!map_first && !map_in_records) return 0;
  bool has_size = pax_value(reader, PAX_SPARSE_REAL_SIZE) || pax_value(reader, PAX_SPARSE_SIZE);
  if (override_number(reader, PAX_SPARSE_SIZE, "size of a sparse file", &entry->size) < 0 ||
      override_number(reader, PAX_SPARSE_REAL_SIZE, "size of a sparse file", &entry->size) < 0)
    return -1;
  if (!has_size) return malformed(reader, "a sparse file without a size");
  entry->sparse = true;
  if (name != NULL) entry->path = name;
  if (map_first) return take_sparse_map(reader);
  if (map != NULL)
    return pax_sparse_map(map, &reader->spans) < 0 ? malformed(reader, "the sparse map is wrong") : 0;
  for (size_t i = 0; i < reader->local.spans.count; i++)
    if (tar_spans_add(&reader->spans, reader->local.spans.items[i].offset,
                      reader->local.spans.items[i].length) < 0)
      return malformed(reader, "too many sparse parts");
  return 0;
}

/* Parts in order, inside the file, and together as long as what is stored. */
static int check_spans(struct tar_reader *reader, uint64_t size) {
  uint64_t end = 0, stored = 0;
  for (size_t i = 0; i < reader->spans.count; i++) {
    struct tar_span span = reader->spans.items[i];
    uint64_t span_end;
    if (__builtin_add_overflow(span.offset, span.length, &span_end) || span.offset < end ||
        span_end > size)
      return malformed(reader, "the sparse map is wrong");
    end = span_end;
    stored += span.length;
  }
  return stored == reader->stored_left ? 0 : malformed(reader, "the sparse map does not fit the size");
}

static int take_content(struct tar_reader *reader, struct tar_header *header, struct tar_entry *entry) {
  uint64_t size = 0;
  reader->spans.count = reader->span_at = 0;
  reader->span_done = 0;
  if (take_unsigned(reader, header->size, sizeof header->size, "size", &size) < 0) return -1;
  if (override_number(reader, PAX_SIZE, "size", &size) < 0) return -1;
  /* Other kinds have no content whatever their size says (star notes a quota there): as Go, libarchive. */
  if (entry->kind != TAR_FILE) return 0;
  if (size > INT64_MAX - TAR_BLOCK_BYTES) return malformed(reader, "a size is too large");
  entry->size = reader->stored_left = size;
  reader->padding = (TAR_BLOCK_BYTES - size % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES;
  if (header->type == 'S') {
    entry->sparse = true;
    if (take_gnu_sparse(reader, header, &entry->size) < 0) return -1;
  } else if (take_pax_sparse(reader, entry) < 0) {
    return -1;
  }
  if (entry->sparse && entry->size > INT64_MAX) return malformed(reader, "a size is too large");
  if (!entry->sparse && tar_spans_add(&reader->spans, 0, size) < 0)
    return fail(reader, ENOMEM, "cannot hold a file's map");
  return check_spans(reader, entry->size);
}

static int take_device(struct tar_reader *reader, const struct tar_header *header,
                       struct tar_entry *entry) {
  uint64_t major = 0, minor = 0;
  if (entry->kind != TAR_CHARACTER_DEVICE && entry->kind != TAR_BLOCK_DEVICE) return 0;
  if (take_unsigned(reader, header->major, sizeof header->major, "device number", &major) < 0 ||
      take_unsigned(reader, header->minor, sizeof header->minor, "device number", &minor) < 0)
    return -1;
  if (major > 0xfff || minor > 0xfffff) return malformed(reader, "a device number is too large");
  entry->major = (uint32_t)major;
  entry->minor = (uint32_t)minor;
  return 0;
}

static int take_owner_and_time(struct tar_reader *reader, const struct tar_header *header,
                               struct tar_entry *entry) {
  uint64_t mode = 0;
  int64_t seconds = 0;
  const char *time = pax_value(reader, PAX_MTIME);
  if (take_unsigned(reader, header->mode, sizeof header->mode, "mode", &mode) < 0) return -1;
  entry->mode = (uint32_t)mode & 07777;
  if (pax_value(reader, PAX_UID) == NULL &&
      take_unsigned(reader, header->uid, sizeof header->uid, "user id", &entry->uid) < 0)
    return -1;
  if (pax_value(reader, PAX_GID) == NULL &&
      take_unsigned(reader, header->gid, sizeof header->gid, "group id", &entry->gid) < 0)
    return -1;
  if (override_number(reader, PAX_UID, "user id", &entry->uid) < 0 ||
      override_number(reader, PAX_GID, "group id", &entry->gid) < 0)
    return -1;
  if (time != NULL)
    return pax_time(time, &entry->mtime) < 0 ? malformed(reader, "a time is no number") : 0;
  if (parse_number(header->mtime, sizeof header->mtime, &seconds) < 0)
    return malformed(reader, "a time is no number");
  entry->mtime = (struct timespec){.tv_sec = seconds};
  return 0;
}

static int kind_of(struct tar_reader *reader, char type, const char *path, enum tar_kind *kind) {
  static const char types[] = "0123456";
  static const enum tar_kind kinds[] = {TAR_FILE,         TAR_HARD_LINK, TAR_SYMLINK, TAR_CHARACTER_DEVICE,
                                        TAR_BLOCK_DEVICE, TAR_DIRECTORY, TAR_FIFO};
  size_t length = strlen(path);
  const char *found = type ? strchr(types, type) : NULL;
  if (found != NULL) *kind = kinds[found - types];
  else if (type == 0) *kind = length > 0 && path[length - 1] == '/' ? TAR_DIRECTORY : TAR_FILE; /* V7 */
  else if (type == '7' || type == 'S') *kind = TAR_FILE;
  else return fail(reader, EOPNOTSUPP, "an entry is of the unknown type 0x%02x", (uint8_t)type);
  return 0;
}

/* The extended headers count first, then GNU's long names, then the header's own field: but a long name that
 * stands between wins, as in Go, whose reading is what image builders test against. */
static int take_entry(struct tar_reader *reader, struct tar_header *header, struct tar_entry *entry) {
  const char *path = pax_value(reader, PAX_PATH), *target = pax_value(reader, PAX_LINKPATH);
  *entry = (struct tar_entry){0};
  if (!reader->has_long_name && path == NULL) copy_path(reader->name, header);
  if (!reader->has_long_target && target == NULL)
    copy_field(reader->target, header->target, sizeof header->target);
  entry->path = reader->has_long_name || path == NULL ? reader->name : path;
  entry->target = reader->has_long_target || target == NULL ? reader->target : target;
  copy_field(reader->failure->object, entry->path, sizeof reader->failure->object - 1);
  if (kind_of(reader, header->type, entry->path, &entry->kind) < 0 ||
      take_owner_and_time(reader, header, entry) < 0 || take_device(reader, header, entry) < 0 ||
      take_content(reader, header, entry) < 0)
    return -1;
  bool own = reader->local.xattr_count > 0;
  entry->xattrs = own ? reader->local.xattrs : reader->global.xattrs;
  entry->xattr_count = own ? reader->local.xattr_count : reader->global.xattr_count;
  return 1;
}

static int take_header(struct tar_reader *reader, struct tar_header *header) {
  const uint8_t *block = take(reader, TAR_BLOCK_BYTES);
  if (block == NULL) return -1;
  memcpy(header, block, TAR_BLOCK_BYTES);
  if (is_zero(block, TAR_BLOCK_BYTES)) return 0;
  uint64_t checksum = 0;
  if (take_unsigned(reader, header->checksum, sizeof header->checksum, "checksum", &checksum) < 0) return -1;
  return checksum_fits(header, checksum) ? 1 : malformed(reader, "the checksum of a header is wrong");
}

/* 1 where the archive may end here and does. */
static int ends_here(struct tar_reader *reader) {
  if (!reader->end_may_lack || reader->start < reader->end) return 0;
  ssize_t got = fill(reader);
  return got < 0 ? -1 : got == 0;
}

/* Up to the next header, or the end of an archive that has none (1). */
static int finish_entry(struct tar_reader *reader) {
  if (skip(reader, reader->stored_left) < 0) return -1;
  int ended = ends_here(reader);
  if (ended == 0 && skip(reader, reader->padding) < 0) return -1;
  reader->stored_left = reader->padding = 0;
  return ended == 0 ? ends_here(reader) : ended;
}

int tar_next(struct tar_reader *reader, struct tar_entry *entry) {
  struct tar_header header;
  _Static_assert(sizeof header == TAR_BLOCK_BYTES, "a header is a block");
  int ended = finish_entry(reader);
  if (ended != 0) return ended < 0 ? -1 : 0;
  reader->has_long_name = reader->has_long_target = false;
  pax_clear(&reader->local);
  bool announced = false; /* a header that only speaks of the next has been read */
  for (;; announced = true) {
    reader->failure->object[0] = 0;
    int got = take_header(reader, &header);
    if (got < 0) return -1;
    if (got == 0 && announced) return malformed(reader, "it ends behind an extended header");
    if (got == 0) return take_end(reader);
    if (strchr("xgLK", header.type) == NULL || header.type == 0) return take_entry(reader, &header, entry);
    uint64_t size = 0;
    if (take_unsigned(reader, header.size, sizeof header.size, "size", &size) < 0) return -1;
    if (header.type == 'x') got = take_pax(reader, size, &reader->local);
    else if (header.type == 'g') got = take_pax(reader, size, &reader->global);
    else if (header.type == 'L') got = take_long_name(reader, size, reader->name, &reader->has_long_name);
    else got = take_long_name(reader, size, reader->target, &reader->has_long_target);
    if (got < 0) return -1;
  }
}

int tar_next_chunk(struct tar_reader *reader, struct tar_chunk *chunk) {
  while (reader->span_at < reader->spans.count &&
         reader->span_done == reader->spans.items[reader->span_at].length) {
    reader->span_at++;
    reader->span_done = 0;
  }
  if (reader->span_at == reader->spans.count) return 0;
  if (reader->start == reader->end) {
    ssize_t got = fill(reader);
    if (got == 0) return fail(reader, ENODATA, "the archive is truncated");
    if (got < 0) return -1;
  }
  struct tar_span span = reader->spans.items[reader->span_at];
  size_t there = reader->end - reader->start;
  uint64_t left = span.length - reader->span_done;
  chunk->length = left < there ? (size_t)left : there;
  chunk->offset = span.offset + reader->span_done;
  chunk->bytes = reader->buffer + reader->start;
  reader->start += chunk->length;
  reader->span_done += chunk->length;
  reader->stored_left -= chunk->length;
  return 1;
}

int tar_open(struct tar_reader *reader, int fd, uint64_t bytes_max, struct failure *failure) {
  *reader = (struct tar_reader){.fd = fd, .bytes_max = bytes_max, .failure = failure};
  reader->buffer = malloc(BUFFER_BYTES);
  return reader->buffer ? 0 : fail(reader, ENOMEM, "cannot hold the archive's buffer");
}

void tar_close(struct tar_reader *reader) {
  pax_free(&reader->local);
  pax_free(&reader->global);
  free(reader->spans.items);
  free(reader->buffer);
  *reader = (struct tar_reader){.fd = -1};
}
