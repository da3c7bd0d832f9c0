#include "copied-links.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 64

/* The finalizer of splitmix64: neighbouring inode numbers end up far apart. */
static size_t slot_of(struct file_identity file, size_t capacity) {
  uint64_t x = (uint64_t)file.inode ^ ((uint64_t)file.device << 32);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return (size_t)(x ^ (x >> 31)) & (capacity - 1);
}

static struct copied_link *place_of(const struct copied_links *links, struct file_identity source) {
  size_t at = slot_of(source, links->capacity);
  for (;; at = (at + 1) & (links->capacity - 1)) {
    struct copied_link *slot = &links->slots[at];
    if (slot->path == NULL) return slot;
    if (slot->source.inode == source.inode && slot->source.device == source.device) return slot;
  }
}

const struct copied_link *copied_links_find(const struct copied_links *links, struct file_identity source) {
  if (links->capacity == 0) return NULL;
  const struct copied_link *slot = place_of(links, source);
  return slot->path == NULL ? NULL : slot;
}

static int grow(struct copied_links *links) {
  size_t capacity = links->capacity == 0 ? CAPACITY_FIRST : links->capacity * 2;
  struct copied_links grown = {calloc(capacity, sizeof *grown.slots), capacity, links->count, links->path_bytes};
  if (grown.slots == NULL) return -ENOMEM;
  for (size_t i = 0; i < links->capacity; i++) {
    if (links->slots[i].path != NULL) *place_of(&grown, links->slots[i].source) = links->slots[i];
  }
  free(links->slots);
  *links = grown;
  return 0;
}

int copied_links_add(struct copied_links *links, struct file_identity source, struct file_identity copy,
                     const char *path) {
  if (links->count * 2 >= links->capacity && grow(links) < 0) return -ENOMEM;
  char *own = strdup(path);
  if (own == NULL) return -ENOMEM;
  *place_of(links, source) = (struct copied_link){source, copy, own};
  links->count++;
  links->path_bytes += strlen(path) + sizeof *links->slots;
  return 0;
}

void copied_links_free(struct copied_links *links) {
  for (size_t i = 0; i < links->capacity; i++) free(links->slots[i].path);
  free(links->slots);
  *links = (struct copied_links){0};
}
