#include "tar-writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 100
#define OCTAL_7_MAX 07777777ULL
#define OCTAL_11_MAX 077777777777ULL

/* The fields of a ustar header, at their places. */
struct header {
  char name[NAME_BYTES];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char target[NAME_BYTES];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char major[8];
  char minor[8];
  char prefix[155];
  char rest[12];
};

_Static_assert(sizeof(struct header) == TAR_BLOCK_BYTES, "a header is one block");

void tar_writer_open(struct tar_writer *writer, int fd) {
  writer->fd = fd;
  writer->used = 0;
  writer->pax = NULL;
  writer->pax_length = 0;
}

void tar_writer_close(struct tar_writer *writer) {
  free(writer->pax);
  writer->pax = NULL;
}

static int flush(struct tar_writer *writer) {
  size_t length = writer->used;
  writer->used = 0;
  return wire_write_all(writer->fd, writer->buffer, length);
}

int tar_writer_content(struct tar_writer *writer, const void *bytes, uint64_t length) {
  const uint8_t *from = bytes;
  while (length > 0) {
    size_t room = sizeof writer->buffer - writer->used;
    size_t part = length < room ? (size_t)length : room;
    if (from == NULL) memset(writer->buffer + writer->used, 0, part);
    else memcpy(writer->buffer + writer->used, from, part);
    writer->used += part;
    length -= part;
    if (from != NULL) from += part;
    int error = writer->used == sizeof writer->buffer ? flush(writer) : 0;
    if (error < 0) return error;
  }
  return 0;
}

int tar_writer_pad(struct tar_writer *writer, uint64_t size) {
  uint64_t over = size % TAR_BLOCK_BYTES;
  return over == 0 ? 0 : tar_writer_content(writer, NULL, TAR_BLOCK_BYTES - over);
}

int tar_writer_finish(struct tar_writer *writer) {
  int error = tar_writer_content(writer, NULL, (uint64_t)2 * TAR_BLOCK_BYTES);
  return error < 0 ? error : flush(writer);
}

static void put_octal(char *field, size_t size, uint64_t value) {
  char text[32];
  snprintf(text, sizeof text, "%0*llo", (int)size - 1, (unsigned long long)value);
  memcpy(field, text, size);
}

static void put_name(char field[NAME_BYTES], const char *name) {
  size_t length = strlen(name);
  memcpy(field, name, length < NAME_BYTES ? length : NAME_BYTES);
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts its own digits. */
static int put_record(struct tar_writer *writer, const char *key, const void *value, size_t size) {
  char digits[24];
  size_t rest = 1 + strlen(key) + 1 + size + 1;
  size_t length = rest + 1;
  while ((size_t)snprintf(digits, sizeof digits, "%zu", length) + rest != length) length++;
  if (writer->pax == NULL) writer->pax = malloc(TAR_PAX_BYTES_MAX);
  if (writer->pax == NULL) return -ENOMEM;
  if (length >= TAR_PAX_BYTES_MAX - writer->pax_length) return -E2BIG;
  uint8_t *at = writer->pax + writer->pax_length;
  at += sprintf((char *)at, "%zu %s=", length, key);
  memcpy(at, value, size);
  at[size] = '\n';
  writer->pax_length += length;
  return 0;
}

static int put_number(struct tar_writer *writer, const char *key, unsigned long long value) {
  char text[32];
  int length = snprintf(text, sizeof text, "%llu", value);
  return put_record(writer, key, text, (size_t)length);
}

static int put_time(struct tar_writer *writer, struct timespec time) {
  char text[48];
  int length = snprintf(text, sizeof text, "%lld.%09ld", (long long)time.tv_sec, time.tv_nsec);
  /* Before 1970 the fraction counts the other way: whole seconds are near enough. */
  if (time.tv_sec < 0) length = snprintf(text, sizeof text, "%lld", (long long)time.tv_sec);
  return put_record(writer, "mtime", text, (size_t)length);
}

static int put_xattrs(struct tar_writer *writer, const struct tar_entry *entry) {
  char key[300];
  int error = 0;
  for (size_t i = 0; error == 0 && i < entry->xattr_count; i++) {
    const struct tar_xattr *xattr = &entry->xattrs[i];
    int length = snprintf(key, sizeof key, "SCHILY.xattr.%s", xattr->name);
    error = length >= (int)sizeof key ? -E2BIG : put_record(writer, key, xattr->value, xattr->size);
  }
  return error;
}

/* Everything about the entry that its ustar header cannot say. */
static int collect_records(struct tar_writer *writer, const struct tar_entry *entry, uint64_t size) {
  int error = 0;
  writer->pax_length = 0;
  if (strlen(entry->path) > NAME_BYTES) error = put_record(writer, "path", entry->path, strlen(entry->path));
  if (error == 0 && entry->target != NULL && strlen(entry->target) > NAME_BYTES)
    error = put_record(writer, "linkpath", entry->target, strlen(entry->target));
  if (error == 0 && size > OCTAL_11_MAX) error = put_number(writer, "size", size);
  if (error == 0 && entry->uid > OCTAL_7_MAX) error = put_number(writer, "uid", entry->uid);
  if (error == 0 && entry->gid > OCTAL_7_MAX) error = put_number(writer, "gid", entry->gid);
  bool plain_time = entry->mtime.tv_nsec == 0 && entry->mtime.tv_sec >= 0 &&
                    (uint64_t)entry->mtime.tv_sec <= OCTAL_11_MAX;
  if (error == 0 && !plain_time) error = put_time(writer, entry->mtime);
  return error < 0 ? error : put_xattrs(writer, entry);
}

static int put_header(struct tar_writer *writer, const struct tar_entry *entry, char type, uint64_t size) {
  struct header header;
  unsigned sum = 0;
  bool plain_time = entry->mtime.tv_sec >= 0 && (uint64_t)entry->mtime.tv_sec <= OCTAL_11_MAX;
  memset(&header, 0, sizeof header);
  put_name(header.name, entry->path);
  if (entry->target != NULL) put_name(header.target, entry->target);
  put_octal(header.mode, sizeof header.mode, entry->mode & 07777);
  put_octal(header.uid, sizeof header.uid, entry->uid > OCTAL_7_MAX ? 0 : entry->uid);
  put_octal(header.gid, sizeof header.gid, entry->gid > OCTAL_7_MAX ? 0 : entry->gid);
  put_octal(header.size, sizeof header.size, size > OCTAL_11_MAX ? 0 : size);
  put_octal(header.mtime, sizeof header.mtime, plain_time ? (uint64_t)entry->mtime.tv_sec : 0);
  put_octal(header.major, sizeof header.major, entry->major & OCTAL_7_MAX);
  put_octal(header.minor, sizeof header.minor, entry->minor & OCTAL_7_MAX);
  header.type = type;
  memcpy(header.magic, "ustar", 6);
  memcpy(header.version, "00", 2);
  memset(header.checksum, ' ', sizeof header.checksum);
  for (size_t i = 0; i < sizeof header; i++) sum += ((const uint8_t *)&header)[i];
  put_octal(header.checksum, 7, sum);
  return tar_writer_content(writer, &header, sizeof header);
}

static char type_of(enum tar_kind kind) {
  switch (kind) {
    case TAR_FILE: return '0';
    case TAR_HARD_LINK: return '1';
    case TAR_SYMLINK: return '2';
    case TAR_CHARACTER_DEVICE: return '3';
    case TAR_BLOCK_DEVICE: return '4';
    case TAR_DIRECTORY: return '5';
    case TAR_FIFO: return '6';
    default: return '0';
  }
}

int tar_writer_entry(struct tar_writer *writer, const struct tar_entry *given) {
  static const struct tar_entry records = {.path = "././@PaxHeader", .mode = 0644};
  char path[PATH_MAX + 1];
  struct tar_entry own = *given;
  const struct tar_entry *entry = &own;
  if (given->kind == TAR_DIRECTORY) {
    snprintf(path, sizeof path, "%.*s/", PATH_MAX - 1, given->path);
    own.path = path;
  }
  uint64_t size = entry->kind == TAR_FILE ? entry->size : 0;
  int error = collect_records(writer, entry, size);
  if (error == 0 && writer->pax_length > 0) {
    error = put_header(writer, &records, 'x', writer->pax_length);
    if (error == 0) error = tar_writer_content(writer, writer->pax, writer->pax_length);
    if (error == 0) error = tar_writer_pad(writer, writer->pax_length);
  }
  return error < 0 ? error : put_header(writer, entry, type_of(entry->kind), size);
}
