#include "name-set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* FNV-1a from a start that an archive cannot know. */
static size_t hash(const struct name_set *set, const char *name) {
  uint64_t value = 14695981039346656037u ^ set->seed;
  for (; *name; name++) value = (value ^ (uint8_t)*name) * 1099511628211u;
  return (size_t)(value ^ value >> 32);
}

static size_t field_bytes(const char *name) { return sizeof(uint32_t) + strlen(name) + 1; }

/* The slot that holds the name, or the free one where it belongs. */
static size_t find(const struct name_set *set, const char *name) {
  size_t at = hash(set, name) & (set->capacity - 1);
  while (set->slots[at] != NULL && strcmp(set->slots[at], name) != 0) at = (at + 1) & (set->capacity - 1);
  return at;
}

static int grow(struct name_set *set) {
  if (set->capacity == 0 && getrandom(&set->seed, sizeof set->seed, 0) < 0) return -errno;
  struct name_set larger = {.capacity = set->capacity ? set->capacity * 2 : 64, .seed = set->seed};
  larger.slots = calloc(larger.capacity, sizeof *larger.slots);
  if (larger.slots == NULL) return -ENOMEM;
  for (size_t i = 0; i < set->capacity; i++)
    if (set->slots[i] != NULL) larger.slots[find(&larger, set->slots[i])] = set->slots[i];
  free(set->slots);
  set->slots = larger.slots;
  set->capacity = larger.capacity;
  return 0;
}

int name_set_add(struct name_set *set, const char *name) {
  size_t length = field_bytes(name);
  if (set->count * 2 >= set->capacity && grow(set) < 0) return -ENOMEM;
  size_t at = find(set, name);
  if (set->slots[at] != NULL) return 0;
  if (set->bytes + length > set->bytes_max) return -E2BIG;
  set->slots[at] = strdup(name);
  if (set->slots[at] == NULL) return -ENOMEM;
  set->bytes += length;
  set->count++;
  return 0;
}

/* Closes the gap: what stands behind it in the same run moves to where a search would find it. */
static void remove_slot(struct name_set *set, size_t at) {
  set->bytes -= field_bytes(set->slots[at]);
  set->count--;
  free(set->slots[at]);
  set->slots[at] = NULL;
  for (size_t next = (at + 1) & (set->capacity - 1); set->slots[next] != NULL;
       next = (next + 1) & (set->capacity - 1)) {
    char *name = set->slots[next];
    set->slots[next] = NULL;
    set->slots[find(set, name)] = name;
  }
}

void name_set_remove(struct name_set *set, const char *name) {
  if (set->count == 0) return;
  size_t at = find(set, name);
  if (set->slots[at] != NULL) remove_slot(set, at);
}

void name_set_remove_beneath(struct name_set *set, const char *name) {
  size_t length = strlen(name);
  bool again = set->count > 0;
  while (again) {
    again = false;
    for (size_t i = 0; i < set->capacity; i++) {
      const char *held = set->slots[i];
      if (held == NULL || strncmp(held, name, length) != 0) continue;
      if (held[length] != 0 && held[length] != '/') continue;
      remove_slot(set, i);
      again = true; /* the closing of the gap may have moved a name to where this loop has been */
    }
  }
}

void name_set_free(struct name_set *set) {
  for (size_t i = 0; i < set->capacity; i++) free(set->slots[i]);
  free(set->slots);
  *set = (struct name_set){0};
}
