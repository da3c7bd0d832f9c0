#include "layer-tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "remove-tree.h"

#define LINKS_MAX 40

static int fail(struct layer_tree *tree, int error, const char *detail) {
  tree->failure->error = error;
  snprintf(tree->failure->detail, sizeof tree->failure->detail, "%s", detail);
  return -1;
}

static int open_beneath(int parent, const char *name) {
  struct open_how how = {
      .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
  };
  return (int)syscall(SYS_openat2, parent, name, &how, sizeof how);
}

/* Follows the layer's own links, with the layer's root as /. */
static int open_in_root(const struct layer_tree *tree, const char *path, size_t length) {
  char text[PATH_MAX];
  struct open_how how = {
      .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
  };
  memcpy(text, length > 0 ? path : ".", length > 0 ? length : 1);
  text[length > 0 ? length : 1] = 0;
  return (int)syscall(SYS_openat2, tree->levels[0].fd, text, &how, sizeof how);
}

static ssize_t path_of_fd(int fd, char path[PATH_MAX]) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length >= 0) path[length] = 0;
  return length;
}

static struct layer_level *top(struct layer_tree *tree) { return &tree->levels[tree->depth - 1]; }

/* What is written into a directory changes its time; the one it has now, or is to have, comes back at the end. */
static int touch(struct layer_tree *tree) {
  struct layer_level *level = top(tree);
  struct stat now;
  if (level->touched) return 0;
  if (fstat(level->fd, &now) < 0) return fail(tree, errno, "cannot look at its directory");
  level->mtime = now.st_mtim;
  level->touched = true;
  return 0;
}

static int leave(struct layer_tree *tree) {
  struct layer_level *level = top(tree);
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, level->mtime};
  int result = level->touched ? futimens(level->fd, times) : 0;
  if (result < 0) fail(tree, errno, "cannot set the time of a directory");
  close(level->fd);
  tree->depth--;
  tree->path[tree->depth > 0 ? top(tree)->path_length : 0] = 0;
  return result;
}

int layer_tree_open(struct layer_tree *tree, int root, uint32_t id_base, size_t implied_bytes_max,
                    struct failure *failure) {
  *tree = (struct layer_tree){.id_base = id_base, .failure = failure, .depth = 1};
  tree->levels[0] = (struct layer_level){.fd = root};
  tree->implied.bytes_max = implied_bytes_max;
  if (path_of_fd(root, tree->root_path) < 0) return fail(tree, errno, "cannot name the destination");
  if (fchown(root, id_base, id_base) < 0 || fchmod(root, 0755) < 0)
    return fail(tree, errno, "cannot own the destination");
  return 0;
}

int layer_path_clean(const char *raw, char clean[PATH_MAX], struct failure *failure) {
  size_t put = 0, depth = 0;
  const char *reason = NULL;
  failure->error = EBADMSG;
  while (*raw && reason == NULL) {
    size_t length = strcspn(raw, "/");
    bool counts = length > 0 && !(length == 1 && raw[0] == '.');
    if (length == 2 && raw[0] == '.' && raw[1] == '.') reason = "a path with .. is refused";
    if (counts && ++depth > LAYER_DEPTH_MAX) reason = "the path is deeper than 256 directories";
    if (counts && (length > NAME_MAX || put + length + 2 > PATH_MAX)) reason = "the path is too long";
    if (counts && reason == NULL) {
      if (put > 0) clean[put++] = '/';
      memcpy(clean + put, raw, length);
      put += length;
    }
    raw += length;
    if (*raw == '/') raw++;
  }
  clean[put] = 0;
  if (reason == NULL) return 0;
  snprintf(failure->detail, sizeof failure->detail, "%s", reason);
  return -1;
}

int layer_tree_path_of(const struct layer_tree *tree, const char *name, char path[PATH_MAX]) {
  int length = snprintf(path, PATH_MAX, "%s%s%s", tree->path, tree->path[0] ? "/" : "", name);
  return length < PATH_MAX ? 0 : -1;
}

static int push(struct layer_tree *tree, int fd, const char *name) {
  size_t used = top(tree)->path_length, length = strlen(name);
  if (tree->depth > LAYER_DEPTH_MAX || used + length + 2 > PATH_MAX) {
    close(fd);
    return fail(tree, ENAMETOOLONG, "a symbolic link makes its path too long");
  }
  if (used > 0) tree->path[used++] = '/';
  memcpy(tree->path + used, name, length + 1);
  tree->levels[tree->depth++] = (struct layer_level){.fd = fd, .path_length = used + length};
  return fd;
}

/* A directory that the archive has not named yet. `opaque`: it takes the place of a whiteout. */
static int imply(struct layer_tree *tree, const char *name, bool opaque) {
  char path[PATH_MAX];
  int parent = top(tree)->fd;
  if (touch(tree) < 0) return -1;
  if (opaque && unlinkat(parent, name, 0) < 0) return fail(tree, errno, "cannot replace a whiteout");
  if (mkdirat(parent, name, 0755) < 0) return fail(tree, errno, "cannot make its directory");
  int fd = open_beneath(parent, name);
  if (fd < 0) return fail(tree, errno, "cannot open its directory");
  if (push(tree, fd, name) < 0) return -1;
  /* A parent with the set-group-id bit hands it down. */
  if (fchown(fd, tree->id_base, tree->id_base) < 0 || fchmod(fd, 0755) < 0)
    return fail(tree, errno, "cannot own its directory");
  if (opaque && fsetxattr(fd, LAYER_OPAQUE_XATTR, "y", 1, 0) < 0)
    return fail(tree, errno, "cannot mark its directory as opaque");
  tree->made++;
  snprintf(path, sizeof path, "%s", tree->path);
  int error = name_set_add(&tree->implied, path);
  if (error == -E2BIG) return fail(tree, E2BIG, "the archive implies too many directories");
  return error < 0 ? fail(tree, -error, "cannot remember its directory") : fd;
}

static bool is_whiteout(int parent, const char *name) {
  struct stat found;
  return fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(found.st_mode) &&
         found.st_rdev == 0;
}

/* Rewrites `path` (whose part up to `length` is a symbolic link) to where the link leads inside the root. */
static int follow(struct layer_tree *tree, char path[PATH_MAX], size_t length) {
  char real[PATH_MAX], whole[PATH_MAX];
  OWNED_FD fd = open_in_root(tree, path, length);
  if (fd < 0) return fail(tree, errno, "its directory is a symbolic link that leads to no directory of the layer");
  size_t root = strlen(tree->root_path);
  if (path_of_fd(fd, real) < 0) return fail(tree, errno, "cannot name a directory");
  bool inside = strncmp(real, tree->root_path, root) == 0 && (real[root] == '/' || real[root] == 0);
  if (!inside) return fail(tree, EXDEV, "its directory is a symbolic link that leaves the layer");
  const char *beneath = real + root + (real[root] == '/');
  const char *rest = path + length + (path[length] == '/' && *beneath == 0);
  if (snprintf(whole, sizeof whole, "%s%s", beneath, rest) >= PATH_MAX)
    return fail(tree, ENAMETOOLONG, "a symbolic link makes its path too long");
  memcpy(path, whole, strlen(whole) + 1);
  return 0;
}

/* Leaves the levels that are not on the way to `path`. Returns how much of the path is on the stack. */
static int keep_common(struct layer_tree *tree, const char *path, size_t *kept) {
  for (;;) {
    size_t length = top(tree)->path_length;
    bool on_the_way = strncmp(path, tree->path, length) == 0;
    if (on_the_way && (length == 0 || path[length] == '/' || path[length] == 0)) {
      *kept = length;
      return 0;
    }
    if (leave(tree) < 0) return -1;
  }
}

/* One part of the path further. 1: done; 0: `path` was rewritten and has to be walked again. */
static int step(struct layer_tree *tree, char path[PATH_MAX], size_t at) {
  char name[NAME_MAX + 1];
  size_t length = strcspn(path + at, "/");
  memcpy(name, path + at, length);
  name[length] = 0;
  int parent = top(tree)->fd, fd = open_beneath(parent, name);
  if (fd >= 0) return push(tree, fd, name) < 0 ? -1 : 1;
  if (errno == ELOOP) return follow(tree, path, at + length);
  if (errno == ENOENT) return imply(tree, name, false) < 0 ? -1 : 1;
  if (errno == ENOTDIR && is_whiteout(parent, name)) return imply(tree, name, true) < 0 ? -1 : 1;
  if (errno == ENOTDIR) return fail(tree, ENOTDIR, "what should be its directory is none");
  return fail(tree, errno, "cannot open its directory");
}

int layer_tree_enter(struct layer_tree *tree, const char *wanted, size_t length) {
  char path[PATH_MAX];
  size_t at;
  memcpy(path, wanted, length);
  path[length] = 0;
  for (int links = 0; links <= LINKS_MAX; links++) {
    if (keep_common(tree, path, &at) < 0) return -1;
    int done = 1;
    while (done > 0 && path[at]) {
      if (path[at] == '/') at++;
      done = step(tree, path, at);
      at += strcspn(path + at, "/");
    }
    if (done < 0) return -1;
    if (done > 0) return touch(tree) < 0 ? -1 : top(tree)->fd;
  }
  return fail(tree, ELOOP, "its directory lies behind too many symbolic links");
}

int layer_tree_descend(struct layer_tree *tree, const char *name) {
  int fd = open_beneath(top(tree)->fd, name);
  if (fd < 0) return fail(tree, errno, "cannot open the directory");
  return push(tree, fd, name);
}

void layer_tree_set_mtime(struct layer_tree *tree, struct timespec mtime) {
  top(tree)->mtime = mtime;
  top(tree)->touched = true;
}

int layer_tree_open_elsewhere(const struct layer_tree *tree, const char *path, size_t length) {
  return open_in_root(tree, path, length);
}

int layer_tree_remove(struct layer_tree *tree, const char *name) {
  char object[1], path[PATH_MAX];
  if (layer_tree_path_of(tree, name, path) == 0) name_set_remove_beneath(&tree->implied, path);
  return remove_tree_at(top(tree)->fd, name, object, 0) < 0
             ? fail(tree, errno, "cannot remove what an earlier entry made of it")
             : 0;
}

int layer_tree_finish(struct layer_tree *tree) {
  int result = 0;
  while (tree->depth > 1)
    if (leave(tree) < 0) result = -1;
  struct layer_level *root = &tree->levels[0];
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, root->mtime};
  if (result == 0 && root->touched && futimens(root->fd, times) < 0)
    return fail(tree, errno, "cannot set the time of the root");
  return result;
}

void layer_tree_close(struct layer_tree *tree) {
  for (size_t i = 0; i < tree->depth; i++) close(tree->levels[i].fd);
  tree->depth = 0;
  name_set_free(&tree->implied);
}
