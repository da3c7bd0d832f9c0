#include "layer-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "layer-xattr.h"

#define IDS_MAX 65535
#define WHITEOUT ".wh."
#define WHITEOUT_META ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

struct writer {
  struct layer_tree *tree;
  struct tar_reader reader;
  const struct layer_limits *limits;
  struct layer_result *result;
  char path[PATH_MAX]; /* of the current entry, in plain form */
};

/* What a name held before the entry took it. */
enum former { FORMER_NOTHING, FORMER_DIRECTORY, FORMER_WHITEOUT, FORMER_OTHER };

__attribute__((format(printf, 3, 4))) static int fail(struct writer *writer, int error, const char *format,
                                                      ...) {
  struct failure *failure = writer->tree->failure;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(failure->detail, sizeof failure->detail, format, arguments);
  va_end(arguments);
  failure->error = error;
  return -1;
}

static enum former look(int parent, const char *name) {
  struct stat found;
  if (fstatat(parent, name, &found, AT_SYMLINK_NOFOLLOW) < 0) return FORMER_NOTHING;
  if (S_ISDIR(found.st_mode)) return FORMER_DIRECTORY;
  return S_ISCHR(found.st_mode) && found.st_rdev == 0 ? FORMER_WHITEOUT : FORMER_OTHER;
}

static uid_t owner(const struct writer *writer, uint64_t id) { return writer->limits->id_base + (uid_t)id; }

static int write_all(int fd, const struct tar_chunk *chunk) {
  size_t done = 0;
  while (done < chunk->length) {
    ssize_t put = pwrite(fd, chunk->bytes + done, chunk->length - done, (off_t)(chunk->offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return -1;
    done += (size_t)put;
  }
  return 0;
}

static int write_content(struct writer *writer, int fd, const struct tar_entry *entry) {
  struct tar_chunk chunk;
  int got;
  while ((got = tar_next_chunk(&writer->reader, &chunk)) > 0)
    if (write_all(fd, &chunk) < 0) return fail(writer, errno, "cannot write its content");
  if (got < 0) return -1;
  if (entry->sparse && ftruncate(fd, (off_t)entry->size) < 0) return fail(writer, errno, "cannot set its size");
  return 0;
}

/* Owner first: a change of it takes set-id bits and file capabilities away. */
static int dress_fd(struct writer *writer, int fd, const struct tar_entry *entry) {
  bool mode = entry->kind == TAR_DIRECTORY || (entry->mode & (S_ISUID | S_ISGID)) != 0;
  if (fchown(fd, owner(writer, entry->uid), owner(writer, entry->gid)) < 0)
    return fail(writer, errno, "cannot set its owner");
  if (mode && fchmod(fd, entry->mode) < 0) return fail(writer, errno, "cannot set its mode");
  return layer_set_xattrs(fd, entry, writer->limits->id_base, writer->tree->failure);
}

static int make_file(struct writer *writer, int parent, const char *name, const struct tar_entry *entry) {
  int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  mode_t mode = entry->mode & (07777 & ~(mode_t)(S_ISUID | S_ISGID));
  OWNED_FD fd = openat(parent, name, flags, mode);
  if (fd < 0 && errno == EEXIST) {
    if (layer_tree_remove(writer->tree, name) < 0) return -1;
    fd = openat(parent, name, flags, mode);
  }
  if (fd < 0) return fail(writer, errno, "cannot make the file");
  if (write_content(writer, fd, entry) < 0 || dress_fd(writer, fd, entry) < 0) return -1;
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry->mtime};
  return futimens(fd, times) < 0 ? fail(writer, errno, "cannot set its time") : 0;
}

static int make_directory(struct writer *writer, int parent, const char *name, const struct tar_entry *entry) {
  bool opaque = false;
  if (mkdirat(parent, name, 0700) < 0) {
    if (errno != EEXIST) return fail(writer, errno, "cannot make the directory");
    enum former former = look(parent, name);
    opaque = former == FORMER_WHITEOUT;
    if (former != FORMER_DIRECTORY && layer_tree_remove(writer->tree, name) < 0) return -1;
    if (former != FORMER_DIRECTORY && mkdirat(parent, name, 0700) < 0)
      return fail(writer, errno, "cannot make the directory");
  }
  int fd = layer_tree_descend(writer->tree, name);
  if (fd < 0 || dress_fd(writer, fd, entry) < 0) return -1;
  if (opaque && fsetxattr(fd, LAYER_OPAQUE_XATTR, "y", 1, 0) < 0)
    return fail(writer, errno, "cannot mark the directory as opaque");
  layer_tree_set_mtime(writer->tree, entry->mtime);
  name_set_remove(&writer->tree->implied, writer->tree->path);
  return 0;
}

/* Owner, mode and time of what has no descriptor. The name was made a moment ago, in a tree nobody else writes. */
static int dress_name(struct writer *writer, int parent, const char *name, const struct tar_entry *entry) {
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry->mtime};
  bool mode = entry->kind != TAR_SYMLINK && (entry->mode & (S_ISUID | S_ISGID)) != 0;
  if (fchownat(parent, name, owner(writer, entry->uid), owner(writer, entry->gid), AT_SYMLINK_NOFOLLOW) < 0)
    return fail(writer, errno, "cannot set its owner");
  if (mode && fchmodat(parent, name, entry->mode, 0) < 0) return fail(writer, errno, "cannot set its mode");
  if (utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0) return fail(writer, errno, "cannot set its time");
  return 0;
}

static int make_symlink(struct writer *writer, int parent, const char *name, const struct tar_entry *entry) {
  if (*entry->target == 0) return fail(writer, EBADMSG, "a symbolic link without a target");
  int made = symlinkat(entry->target, parent, name);
  if (made < 0 && errno == EEXIST) {
    if (layer_tree_remove(writer->tree, name) < 0) return -1;
    made = symlinkat(entry->target, parent, name);
  }
  if (made < 0) return fail(writer, errno, "cannot make the symbolic link");
  return dress_name(writer, parent, name, entry);
}

static int make_special(struct writer *writer, int parent, const char *name, const struct tar_entry *entry) {
  mode_t type = entry->kind == TAR_CHARACTER_DEVICE ? S_IFCHR : entry->kind == TAR_BLOCK_DEVICE ? S_IFBLK : S_IFIFO;
  dev_t device = makedev(entry->major, entry->minor);
  int made = mknodat(parent, name, type | (entry->mode & 01777), device);
  if (made < 0 && errno == EEXIST) {
    if (layer_tree_remove(writer->tree, name) < 0) return -1;
    made = mknodat(parent, name, type | (entry->mode & 01777), device);
  }
  if (made < 0) return fail(writer, errno, "cannot make the device or FIFO");
  return dress_name(writer, parent, name, entry);
}

static bool is_same(int left_parent, const char *left, int right_parent, const char *right) {
  struct stat one, other;
  return fstatat(left_parent, left, &one, AT_SYMLINK_NOFOLLOW) == 0 &&
         fstatat(right_parent, right, &other, AT_SYMLINK_NOFOLLOW) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

/* The target is looked up from the layer's root; a symbolic link at its end is linked itself. Its owner, mode and
 * time stay: a link has none of its own. */
static int make_hard_link(struct writer *writer, int parent, const char *name, const struct tar_entry *entry) {
  char target[PATH_MAX];
  if (layer_path_clean(entry->target, target, writer->tree->failure) < 0) return -1;
  const char *slash = strrchr(target, '/'), *last = slash ? slash + 1 : target;
  size_t length = slash ? (size_t)(slash - target) : 0;
  bool here = strncmp(target, writer->tree->path, length) == 0 && writer->tree->path[length] == 0;
  OWNED_FD elsewhere = here ? -1 : layer_tree_open_elsewhere(writer->tree, target, length);
  int from = here ? parent : elsewhere;
  if (*last == 0) return fail(writer, EBADMSG, "a hard link without a target");
  if (from < 0) return fail(writer, errno, "cannot find %.255s, which it links to", target);
  if (linkat(from, last, parent, name, 0) == 0) return 0;
  if (errno == EEXIST) {
    if (is_same(from, last, parent, name)) return 0;
    if (layer_tree_remove(writer->tree, name) < 0) return -1;
    if (linkat(from, last, parent, name, 0) == 0) return 0;
  }
  return fail(writer, errno, "cannot link it to %.255s", target);
}

static int mark_opaque(struct writer *writer, int directory) {
  return fsetxattr(directory, LAYER_OPAQUE_XATTR, "y", 1, 0) < 0
             ? fail(writer, errno, "cannot mark its directory as opaque")
             : 0;
}

/* Where this layer brings the name itself, only what lies below it in lower layers is hidden. */
static int make_whiteout(struct writer *writer, int parent, const char *hidden) {
  if (*hidden == 0 || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
    return fail(writer, EBADMSG, "a whiteout of nothing");
  if (mknodat(parent, hidden, S_IFCHR, 0) == 0) return 0;
  if (errno != EEXIST) return fail(writer, errno, "cannot make the whiteout");
  if (look(parent, hidden) != FORMER_DIRECTORY) return 0;
  int directory = layer_tree_descend(writer->tree, hidden);
  return directory < 0 ? -1 : mark_opaque(writer, directory);
}

/* The root has no name to be made under: only a directory can stand for it. */
static int dress_root(struct writer *writer, const struct tar_entry *entry) {
  if (entry->kind != TAR_DIRECTORY) return fail(writer, EBADMSG, "the root of the layer is no directory");
  int root = layer_tree_enter(writer->tree, "", 0);
  if (root < 0 || dress_fd(writer, root, entry) < 0) return -1;
  layer_tree_set_mtime(writer->tree, entry->mtime);
  return 0;
}

static int make_entry(struct writer *writer, int parent, const char *name, const struct tar_entry *entry) {
  switch (entry->kind) {
    case TAR_FILE: return make_file(writer, parent, name, entry);
    case TAR_DIRECTORY: return make_directory(writer, parent, name, entry);
    case TAR_SYMLINK: return make_symlink(writer, parent, name, entry);
    case TAR_HARD_LINK: return make_hard_link(writer, parent, name, entry);
    case TAR_CHARACTER_DEVICE:
    case TAR_BLOCK_DEVICE:
    case TAR_FIFO: return make_special(writer, parent, name, entry);
    default: return fail(writer, EBADMSG, "an entry of an unknown kind");
  }
}

/* aufs keeps its own files under such names; they are no part of an image. */
static bool is_meta(const char *path) {
  const char *last = strrchr(path, '/');
  if (strcmp(last ? last + 1 : path, WHITEOUT_OPAQUE) == 0) return false;
  for (const char *part = path; part; part = strchr(part, '/'), part = part ? part + 1 : NULL)
    if (strncmp(part, WHITEOUT_META, sizeof WHITEOUT_META - 1) == 0) return true;
  return false;
}

static int check_limits(struct writer *writer, const struct tar_entry *entry) {
  struct layer_result *result = writer->result;
  if (entry->uid > IDS_MAX || entry->gid > IDS_MAX)
    return fail(writer, EOVERFLOW, "its owner %llu:%llu is above %d, the greatest id of a container",
                (unsigned long long)entry->uid, (unsigned long long)entry->gid, IDS_MAX);
  if (result->entries + writer->tree->made >= writer->limits->entries_max)
    return fail(writer, EFBIG, "the layer has more than the limit of %u entries", writer->limits->entries_max);
  if (__builtin_add_overflow(result->content_bytes, entry->size, &result->content_bytes) ||
      result->content_bytes > writer->limits->bytes_max)
    return fail(writer, EFBIG, "the layer unpacks to more than the limit of %llu bytes",
                (unsigned long long)writer->limits->bytes_max);
  result->entries++;
  return 0;
}

static int take_entry(struct writer *writer, const struct tar_entry *entry) {
  if (layer_path_clean(entry->path, writer->path, writer->tree->failure) < 0) return -1;
  if (is_meta(writer->path)) return 0;
  if (check_limits(writer, entry) < 0) return -1;
  if (writer->path[0] == 0) return dress_root(writer, entry);
  char *slash = strrchr(writer->path, '/'), *name = slash ? slash + 1 : writer->path;
  size_t length = slash ? (size_t)(slash - writer->path) : 0;
  int parent = layer_tree_enter(writer->tree, writer->path, length);
  if (parent < 0) return -1;
  if (strcmp(name, WHITEOUT_OPAQUE) == 0) return mark_opaque(writer, parent);
  if (strncmp(name, WHITEOUT, sizeof WHITEOUT - 1) == 0)
    return make_whiteout(writer, parent, name + sizeof WHITEOUT - 1);
  return make_entry(writer, parent, name, entry);
}

/* Headers and padding come on top of the content; a pax header can be long, but not in every entry. */
static uint64_t archive_bytes_max(const struct layer_limits *limits) {
  uint64_t overhead = (64u << 20) + (uint64_t)limits->entries_max * 4096, sum;
  return __builtin_add_overflow(limits->bytes_max, overhead, &sum) ? UINT64_MAX : sum;
}

int layer_write(struct layer_tree *tree, int source, const struct layer_limits *limits,
                struct layer_result *result) {
  struct writer writer = {.tree = tree, .limits = limits, .result = result};
  struct tar_entry entry;
  struct sha256 hash;
  *result = (struct layer_result){0};
  if (tar_open(&writer.reader, source, archive_bytes_max(limits), tree->failure) < 0) return -1;
  writer.reader.end_may_lack = limits->end_may_lack;
  sha256_begin(&hash);
  writer.reader.hash = &hash;
  int got;
  while ((got = tar_next(&writer.reader, &entry)) > 0)
    if (take_entry(&writer, &entry) < 0) break;
  result->archive_bytes = writer.reader.bytes_taken;
  result->entries += tree->made;
  tar_close(&writer.reader);
  if (got != 0) return -1;
  sha256_end(&hash, result->digest);
  tree->failure->object[0] = 0;
  return layer_tree_finish(tree);
}
