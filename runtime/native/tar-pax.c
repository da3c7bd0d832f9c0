#include "tar-pax.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const key_names[PAX_KEYS] = {
    [PAX_PATH] = "path",
    [PAX_LINKPATH] = "linkpath",
    [PAX_SIZE] = "size",
    [PAX_UID] = "uid",
    [PAX_GID] = "gid",
    [PAX_MTIME] = "mtime",
    [PAX_SPARSE_MAJOR] = "GNU.sparse.major",
    [PAX_SPARSE_MINOR] = "GNU.sparse.minor",
    [PAX_SPARSE_NAME] = "GNU.sparse.name",
    [PAX_SPARSE_REAL_SIZE] = "GNU.sparse.realsize",
    [PAX_SPARSE_SIZE] = "GNU.sparse.size",
    [PAX_SPARSE_MAP] = "GNU.sparse.map",
};

static int malformed(struct failure *failure, const char *reason) {
  failure->error = EBADMSG;
  snprintf(failure->detail, sizeof failure->detail, "the extended header is malformed: %s", reason);
  return -1;
}

int pax_number(const char *text, uint64_t *number) {
  uint64_t value = 0;
  if (*text == 0) return -1;
  for (; *text; text++) {
    if (*text < '0' || *text > '9') return -1;
    if (__builtin_mul_overflow(value, (uint64_t)10, &value)) return -1;
    if (__builtin_add_overflow(value, (uint64_t)(*text - '0'), &value)) return -1;
  }
  *number = value;
  return 0;
}

int pax_time(const char *text, struct timespec *time) {
  bool negative = *text == '-';
  int64_t seconds = 0;
  long nanoseconds = 0, unit = 100000000;
  if (negative) text++;
  if (*text < '0' || *text > '9') return -1;
  for (; *text >= '0' && *text <= '9'; text++) {
    if (__builtin_mul_overflow(seconds, (int64_t)10, &seconds)) return -1;
    if (__builtin_add_overflow(seconds, (int64_t)(*text - '0'), &seconds)) return -1;
  }
  if (*text == '.')
    for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10) nanoseconds += (*text - '0') * unit;
  if (*text) return -1;
  if (negative) {
    seconds = -seconds;
    if (nanoseconds > 0) { /* the kernel's fraction always counts upwards */
      seconds--;
      nanoseconds = 1000000000 - nanoseconds;
    }
  }
  *time = (struct timespec){.tv_sec = seconds, .tv_nsec = nanoseconds};
  return 0;
}

int tar_spans_add(struct tar_spans *spans, uint64_t offset, uint64_t length) {
  if (spans->count == TAR_SPANS_MAX) return -1;
  if (spans->count == spans->capacity) {
    size_t capacity = spans->capacity ? spans->capacity * 2 : 64;
    struct tar_span *items = realloc(spans->items, capacity * sizeof *items);
    if (items == NULL) return -1;
    spans->items = items;
    spans->capacity = capacity;
  }
  spans->items[spans->count++] = (struct tar_span){.offset = offset, .length = length};
  return 0;
}

int pax_sparse_map(const char *text, struct tar_spans *spans) {
  uint64_t pair[2] = {0};
  size_t have = 0;
  while (*text) {
    char digits[24];
    size_t length = strcspn(text, ",");
    if (length >= sizeof digits) return -1;
    memcpy(digits, text, length);
    digits[length] = 0;
    if (pax_number(digits, &pair[have]) < 0) return -1;
    have = (have + 1) % 2;
    if (have == 0 && tar_spans_add(spans, pair[0], pair[1]) < 0) return -1;
    text += length;
    if (*text == ',') text++;
  }
  return have == 0 ? 0 : -1;
}

static int base64_digit(uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

/* In place: the result is shorter than its source. Padding is optional, as libarchive writes none. */
static int decode_base64(uint8_t *text, size_t length, size_t *decoded) {
  uint32_t bits = 0, have = 0;
  size_t put = 0;
  while (length > 0 && text[length - 1] == '=') length--;
  for (size_t i = 0; i < length; i++) {
    int digit = base64_digit(text[i]);
    if (digit < 0) return -1;
    bits = (bits << 6 | (uint32_t)digit) & 0xffffff;
    have += 6;
    if (have < 8) continue;
    have -= 8;
    text[put++] = (uint8_t)(bits >> have);
  }
  *decoded = put;
  return 0;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place. */
static int decode_percent(char *text) {
  char *put = text;
  for (; *text; text++) {
    if (*text != '%') {
      *put++ = *text;
      continue;
    }
    int high = hex_digit(text[1]), low = high < 0 ? -1 : hex_digit(text[2]);
    if (low < 0 || (high == 0 && low == 0)) return -1;
    *put++ = (char)(high << 4 | low);
    text += 2;
  }
  *put = 0;
  return 0;
}

static int add_xattr(struct pax *pax, const char *name, const uint8_t *value, size_t size,
                     struct failure *failure) {
  if (*name == 0 || strlen(name) > 255) return malformed(failure, "the name of an xattr is empty or too long");
  if (size > 65536) return malformed(failure, "the value of an xattr is longer than 64 KiB");
  if (pax->xattr_count == TAR_XATTRS_MAX) return malformed(failure, "it has more than 256 xattrs");
  pax->xattrs[pax->xattr_count++] = (struct tar_xattr){.name = name, .value = value, .size = size};
  return 0;
}

/* Format 0.0 repeats a pair of records for each span. */
static int add_span_half(struct pax *pax, bool is_offset, const char *value, struct failure *failure) {
  uint64_t number;
  if (is_offset == pax->spans_open || pax_number(value, &number) < 0)
    return malformed(failure, "the sparse map is wrong");
  pax->spans_open = is_offset;
  if (!is_offset) {
    pax->spans.items[pax->spans.count - 1].length = number;
    return 0;
  }
  return tar_spans_add(&pax->spans, number, 0) < 0 ? malformed(failure, "the sparse map is too long") : 0;
}

static int take_record(struct pax *pax, char *key, uint8_t *value, size_t size,
                       struct failure *failure) {
  static const char schily[] = "SCHILY.xattr.", libarchive[] = "LIBARCHIVE.xattr.";
  if (strncmp(key, schily, sizeof schily - 1) == 0)
    return add_xattr(pax, key + sizeof schily - 1, value, size, failure);
  if (strncmp(key, libarchive, sizeof libarchive - 1) == 0) {
    char *name = key + sizeof libarchive - 1;
    if (decode_percent(name) < 0 || decode_base64(value, size, &size) < 0)
      return malformed(failure, "an xattr is not encoded as libarchive does");
    return add_xattr(pax, name, value, size, failure);
  }
  bool is_offset = strcmp(key, "GNU.sparse.offset") == 0;
  if (is_offset || strcmp(key, "GNU.sparse.numbytes") == 0)
    return add_span_half(pax, is_offset, (char *)value, failure);
  for (size_t i = 0; i < PAX_KEYS; i++) {
    if (strcmp(key, key_names[i]) != 0) continue;
    if (memchr(value, 0, size) != NULL) return malformed(failure, "a value holds a NUL");
    pax->values[i] = (char *)value;
  }
  return 0; /* other keys are allowed and mean nothing here */
}

int pax_parse(struct pax *pax, struct failure *failure) {
  uint8_t *at = pax->text, *end = pax->text + pax->length;
  while (at < end) {
    size_t length = 0, digits = 0;
    for (; digits < 8 && at + digits < end && at[digits] >= '0' && at[digits] <= '9'; digits++)
      length = length * 10 + (size_t)(at[digits] - '0');
    if (digits == 0 || at + digits >= end || at[digits] != ' ')
      return malformed(failure, "a record has no length");
    if (length < digits + 3 || length > (size_t)(end - at) || at[length - 1] != '\n')
      return malformed(failure, "the length of a record is wrong");
    uint8_t *key = at + digits + 1, *line_end = at + length - 1;
    uint8_t *equals = memchr(key, '=', (size_t)(line_end - key));
    if (equals == NULL || equals == key) return malformed(failure, "a record has no key");
    if (memchr(key, 0, (size_t)(equals - key)) != NULL) return malformed(failure, "a key holds a NUL");
    *equals = *line_end = 0;
    if (take_record(pax, (char *)key, equals + 1, (size_t)(line_end - equals - 1), failure) < 0)
      return -1;
    at += length;
  }
  return pax->spans_open ? malformed(failure, "the sparse map is wrong") : 0;
}

void pax_clear(struct pax *pax) {
  pax->length = pax->xattr_count = pax->spans.count = 0;
  pax->spans_open = false;
  memset(pax->values, 0, sizeof pax->values);
}

void pax_free(struct pax *pax) {
  free(pax->text);
  free(pax->spans.items);
  *pax = (struct pax){0};
}
