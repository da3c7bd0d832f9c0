#include "name-list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int add(struct name_list *list, const char *name) {
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? list->capacity * 2 : 32;
    char **names = realloc(list->names, capacity * sizeof *names);
    if (names == NULL) return -ENOMEM;
    list->names = names;
    list->capacity = capacity;
  }
  char *own = strdup(name);
  if (own == NULL) return -ENOMEM;
  list->names[list->count++] = own;
  return 0;
}

static int compare(const void *left, const void *right) {
  return strcmp(*(char *const *)left, *(char *const *)right);
}

int name_list_read(struct name_list *list, int directory) {
  int error = 0, own = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *list = (struct name_list){0};
  if (own < 0) return -errno;
  DIR *entries = fdopendir(own);
  if (entries == NULL) {
    error = -errno;
    close(own);
    return error;
  }
  while (error == 0) {
    errno = 0;
    const struct dirent *entry = readdir(entries);
    if (entry == NULL) {
      error = -errno;
      break;
    }
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    error = add(list, entry->d_name);
  }
  closedir(entries);
  if (error < 0) name_list_free(list);
  else if (list->count > 1) qsort(list->names, list->count, sizeof *list->names, compare);
  return error;
}

void name_list_free(struct name_list *list) {
  for (size_t i = 0; i < list->count; i++) free(list->names[i]);
  free(list->names);
  *list = (struct name_list){0};
}
