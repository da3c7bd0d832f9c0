/* Extended headers of POSIX.1-2001 ("pax"): records "LENGTH KEY=VALUE\n", and what GNU tar, star and libarchive
 * put into them. */
#ifndef BERTH_TAR_PAX_H
#define BERTH_TAR_PAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "wire.h"

#define TAR_PAX_BYTES_MAX 1048576
#define TAR_XATTRS_MAX 256
#define TAR_SPANS_MAX 262144

enum pax_key {
  PAX_PATH,
  PAX_LINKPATH,
  PAX_SIZE,
  PAX_UID,
  PAX_GID,
  PAX_MTIME,
  PAX_SPARSE_MAJOR,
  PAX_SPARSE_MINOR,
  PAX_SPARSE_NAME,
  PAX_SPARSE_REAL_SIZE,
  PAX_SPARSE_SIZE,
  PAX_SPARSE_MAP,
  PAX_KEYS
};

struct tar_xattr {
  const char *name;
  const uint8_t *value;
  size_t size;
};

/* A part of a file that holds data; what lies between the spans is a hole. */
struct tar_span {
  uint64_t offset;
  uint64_t length;
};

struct tar_spans {
  struct tar_span *items;
  size_t count;
  size_t capacity;
};

/* One parsed extended header. Everything points into `text`. */
struct pax {
  uint8_t *text; /* TAR_PAX_BYTES_MAX bytes, made at first use */
  size_t length;
  const char *values[PAX_KEYS]; /* NULL: not given; "": given as empty, which takes back an earlier value */
  struct tar_xattr xattrs[TAR_XATTRS_MAX];
  size_t xattr_count;
  struct tar_spans spans; /* from GNU.sparse.offset and .numbytes (format 0.0) */
  bool spans_open;        /* an offset waits for its length */
};

/* Parses `text` in place. 0, or -1 with `failure` filled but for its object. */
int pax_parse(struct pax *pax, struct failure *failure);
void pax_clear(struct pax *pax);
void pax_free(struct pax *pax);

/* A whole decimal number; -1 for anything else or on overflow. */
int pax_number(const char *text, uint64_t *number);
/* Seconds with a fraction, maybe negative; -1 for anything else. */
int pax_time(const char *text, struct timespec *time);
/* "offset,length,offset,length" of GNU.sparse.map (format 0.1). */
int pax_sparse_map(const char *text, struct tar_spans *spans);
/* -1 when there are too many. */
int tar_spans_add(struct tar_spans *spans, uint64_t offset, uint64_t length);

#endif
