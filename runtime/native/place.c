#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"

int place_open(struct place *place, const char *path) {
  const char *slash = strrchr(path, '/');
  if (slash == NULL || slash[1] == '\0') return -EINVAL;
  char *directory = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
  place->name = strdup(slash + 1);
  place->directory = -1;
  if (directory != NULL && place->name != NULL) {
    place->directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
  }
  int error = -errno;
  free(directory);
  if (place->directory >= 0) return 0;
  free(place->name);
  place->name = NULL;
  return error;
}

void place_close(struct place *place) {
  drop_fd(&place->directory);
  free(place->name);
  place->name = NULL;
}

/* proc_pid_stat(5): the name, in brackets, may hold anything, so fields are counted from its last bracket. */
uint64_t process_start_time(pid_t pid) {
  char path[32];
  char text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (length <= 0) return 0;
  text[length] = '\0';
  const char *at = strrchr(text, ')');
  for (int field = 2; at != NULL && field < 22; field++) at = strchr(at + 1, ' ');
  return at == NULL ? 0 : strtoull(at + 1, NULL, 10);
}
