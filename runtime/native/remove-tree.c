#include "remove-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"

/* Directories below this depth are moved up before they are emptied, so descriptors stay bounded. */
#define DEPTH_MAX 64

struct level {
  DIR *directory;
  char name[256]; /* in the level above */
  bool progress;  /* since the directory was last read from its start */
  bool stuck;     /* something in it cannot be removed: it is not tried again */
};

struct removal {
  struct level levels[DEPTH_MAX];
  size_t depth;
  unsigned long moved;
  int error; /* of the first entry that could not be removed */
  char *object;
  size_t object_size;
};

static int fd_of(const struct removal *removal, size_t depth) {
  return dirfd(removal->levels[depth].directory);
}

/* Notes the first failure; the levels above cannot be removed then. */
static void note(struct removal *removal, const char *name) {
  int error = errno;
  for (size_t i = 0; i < removal->depth; i++) removal->levels[i].stuck = true;
  if (removal->error) return;
  removal->error = error;
  size_t used = 0;
  if (removal->object_size > 0) removal->object[0] = 0;
  for (size_t i = 0; i <= removal->depth; i++) {
    const char *part = i < removal->depth ? removal->levels[i].name : name;
    if (used + 1 >= removal->object_size) break;
    int put = snprintf(removal->object + used, removal->object_size - used, "%s%s", i ? "/" : "", part);
    if (put > 0) used += (size_t)put;
  }
}

static int open_directory(int parent, const char *name) {
  struct open_how how = {
      .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
  };
  return (int)syscall(SYS_openat2, parent, name, &how, sizeof how);
}

static int push(struct removal *removal, int parent, const char *name) {
  OWNED_FD fd = open_directory(parent, name);
  if (fd < 0) return -1;
  DIR *directory = fdopendir(fd);
  if (directory == NULL) return -1;
  steal_fd(&fd);
  struct level *level = &removal->levels[removal->depth++];
  *level = (struct level){.directory = directory};
  snprintf(level->name, sizeof level->name, "%s", name);
  return 0;
}

/* A directory at the greatest depth moves to the top, where it is found again. */
static int move_up(struct removal *removal, int parent, const char *name) {
  char place[64];
  for (int turn = 0; turn < 1000; turn++) {
    snprintf(place, sizeof place, ".berth-removing-%lu", removal->moved++);
    if (syscall(SYS_renameat2, parent, name, fd_of(removal, 0), place, 1 /* RENAME_NOREPLACE */) == 0) {
      removal->levels[0].progress = true;
      return 0;
    }
    if (errno != EEXIST) return -1;
  }
  return -1;
}

static void remove_entry(struct removal *removal, const struct dirent *entry) {
  size_t depth = removal->depth - 1;
  int parent = fd_of(removal, depth);
  if (entry->d_type != DT_DIR) {
    if (unlinkat(parent, entry->d_name, 0) == 0) removal->levels[depth].progress = true;
    else if (errno == EISDIR && entry->d_type == DT_UNKNOWN) goto directory;
    else if (errno != ENOENT) note(removal, entry->d_name);
    return;
  }
directory:
  if (unlinkat(parent, entry->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
    removal->levels[depth].progress = true;
    return;
  }
  if (errno != ENOTEMPTY && errno != EEXIST) {
    note(removal, entry->d_name);
    return;
  }
  int done = removal->depth == DEPTH_MAX ? move_up(removal, parent, entry->d_name)
                                         : push(removal, parent, entry->d_name);
  if (done < 0 && errno != ENOENT) note(removal, entry->d_name);
}

/* Closes the deepest level and removes its directory; false: it has to be read again. */
static bool pop(struct removal *removal, int outside) {
  struct level *level = &removal->levels[removal->depth - 1];
  size_t above = removal->depth - 1;
  int parent = above > 0 ? fd_of(removal, above - 1) : outside;
  bool removed = unlinkat(parent, level->name, AT_REMOVEDIR) == 0 || errno == ENOENT;
  /* Some file systems skip entries when others vanish during the reading. */
  if (!removed && (errno == ENOTEMPTY || errno == EEXIST) && level->progress) {
    level->progress = false;
    rewinddir(level->directory);
    return false;
  }
  int error = errno;
  closedir(level->directory);
  removal->depth = above;
  if (removed && above > 0) removal->levels[above - 1].progress = true;
  errno = error;
  if (!removed && !level->stuck) note(removal, level->name);
  return true;
}

int remove_tree_at(int parent, const char *name, char *object, size_t object_size) {
  struct removal *removal = calloc(1, sizeof *removal);
  if (removal == NULL) return -1;
  removal->object = object;
  removal->object_size = object_size;
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) {
    free(removal);
    return 0;
  }
  if (errno != EISDIR || push(removal, parent, name) < 0) note(removal, name);
  while (removal->depth > 0) {
    struct level *level = &removal->levels[removal->depth - 1];
    errno = 0;
    const struct dirent *entry = readdir(level->directory);
    if (entry == NULL && errno != 0) note(removal, "");
    if (entry == NULL) pop(removal, parent);
    else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      remove_entry(removal, entry);
  }
  int error = removal->error;
  free(removal);
  errno = error;
  return error ? -1 : 0;
}

int remove_tree(const char *path, char *object, size_t object_size) {
  char parent_path[4096];
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') length--;
  const char *slash = memrchr(path, '/', length);
  const char *name = slash ? slash + 1 : path;
  size_t name_length = length - (size_t)(name - path);
  char name_text[256];
  if (object_size > 0) snprintf(object, object_size, "%s", path);
  if (name_length == 0 || name_length >= sizeof name_text || length >= sizeof parent_path) {
    errno = name_length == 0 ? EINVAL : ENAMETOOLONG;
    return -1;
  }
  memcpy(name_text, name, name_length);
  name_text[name_length] = 0;
  if (strcmp(name_text, ".") == 0 || strcmp(name_text, "..") == 0) {
    errno = EINVAL;
    return -1;
  }
  size_t parent_length = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
  memcpy(parent_path, slash == NULL ? "." : path, parent_length);
  parent_path[parent_length] = 0;
  OWNED_FD parent = open(parent_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (parent < 0) return errno == ENOENT ? 0 : -1;
  return remove_tree_at(parent, name_text, object, object_size);
}
