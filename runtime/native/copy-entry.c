/* Making the entries of an archive that is received (copy-in.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cleanup.h"
#include "copy-receiver.h"

#define NOTES_MAX 20
#define TEMPORARY_TRIES 64

static void leave_out(struct receiver *receiver, const char *path, const char *why) {
  char line[PATH_MAX + 128];
  if (receiver->notes++ >= NOTES_MAX) return;
  int length = snprintf(line, sizeof line, "%s is left out: %s\n", *path == '\0' ? "the source" : path, why);
  for (int i = 0; i < length - 1; i++)
    if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) line[i] = '?';
  if (wire_write_all(receiver->request->notes, line, (size_t)length) < 0) receiver->notes = NOTES_MAX;
}

/* Owner first: a change of it takes set-id bits and file capabilities away. */
static int give_ids(const struct receiver *receiver, int fd, const char *name, uint64_t uid, uint64_t gid) {
  int flags = name[0] == '\0' ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
  if (!receiver_has(receiver, BERTH_COPY_KEEP_IDS)) {
    /* Whoever copies owns it already, but for the group of a directory with the set-group-id bit. */
    return fchownat(fd, name, geteuid(), getegid(), flags) < 0 ? -errno : 0;
  }
  if (uid >= UINT32_MAX || gid >= UINT32_MAX) return -EOVERFLOW;
  return fchownat(fd, name, (uid_t)uid, (gid_t)gid, flags) < 0 ? -errno : 0;
}

static mode_t mode_of(const struct receiver *receiver, uint32_t mode) {
  mode_t kept = mode & 07777;
  if (receiver_is_host(receiver)) kept &= ~(mode_t)(S_ISUID | S_ISGID);
  return receiver_has(receiver, BERTH_COPY_KEEP_IDS) ? kept : kept & ~receiver->request->mask;
}

/* Attributes that this file system does not take are no reason to lose the file. */
static void give_xattrs(const struct receiver *receiver, int fd, const struct tar_entry *entry) {
  for (size_t i = 0; i < entry->xattr_count; i++) {
    const struct tar_xattr *xattr = &entry->xattrs[i];
    bool is_user = strncmp(xattr->name, "user.", 5) == 0;
    bool is_capability = !receiver_is_host(receiver) && strcmp(xattr->name, "security.capability") == 0;
    if (is_user || is_capability) fsetxattr(fd, xattr->name, xattr->value, xattr->size, 0);
  }
}

int receiver_dress(struct receiver *receiver, int fd, const struct level *level, const char *path) {
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, level->mtime};
  int error = give_ids(receiver, fd, "", level->uid, level->gid);
  if (error < 0) return receiver_fails(receiver, -error, path, "its owner cannot be set");
  if (fchmod(fd, level->mode) < 0) return receiver_fails(receiver, errno, path, "its mode cannot be set");
  return futimens(fd, times) < 0 ? receiver_fails(receiver, errno, path, "its time cannot be set") : 0;
}

static struct level level_of(const struct receiver *receiver, const struct tar_entry *entry) {
  return (struct level){.fd = -1, .is_made = true, .uid = entry->uid, .gid = entry->gid,
                        .mode = mode_of(receiver, entry->mode), .mtime = entry->mtime};
}

static int write_content(struct receiver *receiver, int fd, const struct tar_entry *entry, const char *path) {
  struct tar_chunk chunk;
  int got;
  while ((got = tar_next_chunk(&receiver->reader, &chunk)) > 0) {
    for (size_t done = 0; done < chunk.length;) {
      ssize_t put = pwrite(fd, chunk.bytes + done, chunk.length - done, (off_t)(chunk.offset + done));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return receiver_fails(receiver, errno, path, "it cannot be written");
      done += (size_t)put;
    }
  }
  if (got < 0) return -1;
  return ftruncate(fd, (off_t)entry->size) < 0 ? receiver_fails(receiver, errno, path, "its size cannot be set") : 0;
}

/* A file that is mounted, or stands behind a link, keeps its place: what is in it is replaced. */
int receiver_write_in_place(struct receiver *receiver, int fd, const struct tar_entry *entry, const char *path) {
  struct stat status;
  if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
    return receiver_fails(receiver, EINVAL, path, "what is there is no file");
  if (ftruncate(fd, 0) < 0) return receiver_fails(receiver, errno, path, "it cannot be emptied");
  return write_content(receiver, fd, entry, path);
}

static int fill_file(struct receiver *receiver, int fd, const struct tar_entry *entry, const char *path) {
  struct level level = level_of(receiver, entry);
  if (write_content(receiver, fd, entry, path) < 0 || receiver_dress(receiver, fd, &level, path) < 0) return -1;
  give_xattrs(receiver, fd, entry);
  return 0;
}

static int open_temporary(int parent, char name[32]) {
  int fd = -1;
  for (int tries = 0; tries < TEMPORARY_TRIES && fd < 0; tries++) {
    snprintf(name, 32, ".berth-cp-%d-%d", (int)getpid(), tries);
    fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EEXIST) break;
  }
  return fd;
}

static int replace_file(struct receiver *receiver, int parent, const char *name, const struct tar_entry *entry,
                        const char *path) {
  char temporary[32];
  OWNED_FD fd = open_temporary(parent, temporary);
  if (fd < 0) return receiver_fails(receiver, errno, path, "no file can be made beside it");
  if (fill_file(receiver, fd, entry, path) < 0) {
    unlinkat(parent, temporary, 0);
    return -1;
  }
  if (renameat(parent, temporary, parent, name) == 0) return 0;
  int error = errno;
  unlinkat(parent, temporary, 0);
  return receiver_fails(receiver, error, path, "it cannot be put in place");
}

/* A directory and what is none never take each other's place, as in docker-cp(1). */
static int check_former(struct receiver *receiver, int parent, const char *name, const char *path,
                        struct stat *former) {
  if (fstatat(parent, name, former, AT_SYMLINK_NOFOLLOW) < 0) {
    former->st_mode = 0;
    return errno == ENOENT ? 0 : receiver_fails(receiver, errno, path, "what is there cannot be looked at");
  }
  if (S_ISDIR(former->st_mode)) return receiver_fails(receiver, EISDIR, path, "there is a directory of that name");
  return 0;
}

/* rename(2) refuses a mount point only after the content was read, which comes once. */
static bool is_mounted(int parent, const char *name, const struct stat *former) {
  struct statx found;
  if (!S_ISREG(former->st_mode)) return false;
  if (statx(parent, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &found) < 0) return false;
  return (found.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 &&
         (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

static int make_file(struct receiver *receiver, int parent, const char *name, const struct tar_entry *entry,
                     const char *path) {
  struct stat former;
  if (check_former(receiver, parent, name, path, &former) < 0) return -1;
  if (is_mounted(parent, name, &former)) {
    OWNED_FD mounted = openat(parent, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (mounted < 0) return receiver_fails(receiver, errno, path, "what is mounted there cannot be opened");
    return receiver_write_in_place(receiver, mounted, entry, path);
  }
  if (former.st_mode != 0) return replace_file(receiver, parent, name, entry, path);
  OWNED_FD fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return receiver_fails(receiver, errno, path, "it cannot be made");
  return fill_file(receiver, fd, entry, path);
}

static int make_directory(struct receiver *receiver, int parent, const char *name, const struct tar_entry *entry,
                          const char *path) {
  struct level level = level_of(receiver, entry);
  if (mkdirat(parent, name, 0700) < 0) {
    if (errno != EEXIST) return receiver_fails(receiver, errno, path, "the directory cannot be made");
    level.is_made = false;
  }
  OWNED_FD fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && receiver_has(receiver, BERTH_COPY_EXTRACT) && !receiver_is_host(receiver) && (errno == ELOOP || errno == ENOTDIR)) {
    struct stat status;
    /* /bin of many images is a link to a directory, and stays one. */
    if (fstatat(parent, name, &status, 0) == 0 && S_ISDIR(status.st_mode)) return 0;
    errno = ENOTDIR;
  }
  if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
    return receiver_fails(receiver, ENOTDIR, path, "what is there is no directory");
  if (fd < 0) return receiver_fails(receiver, errno, path, "the directory cannot be opened");
  if (level.is_made) give_xattrs(receiver, fd, entry);
  return receiver_push(receiver, steal_fd(&fd), path, level);
}

/* Owner, mode and time of what has no descriptor. */
static int dress_name(struct receiver *receiver, int parent, const char *name, const struct tar_entry *entry,
                      const char *path) {
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, entry->mtime};
  int error = give_ids(receiver, parent, name, entry->uid, entry->gid);
  if (error < 0) return receiver_fails(receiver, -error, path, "its owner cannot be set");
  if (utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
    return receiver_fails(receiver, errno, path, "its time cannot be set");
  return 0;
}

static int clear_name(struct receiver *receiver, int parent, const char *name, const char *path) {
  struct stat former;
  if (check_former(receiver, parent, name, path, &former) < 0) return -1;
  if (former.st_mode == 0 || unlinkat(parent, name, 0) == 0) return 0;
  return receiver_fails(receiver, errno, path, "what is there cannot be replaced");
}

static int make_symlink(struct receiver *receiver, int parent, const char *name, const struct tar_entry *entry,
                        const char *path) {
  if (*entry->target == '\0') return receiver_fails(receiver, EBADMSG, path, "a symbolic link without a target");
  if (clear_name(receiver, parent, name, path) < 0) return -1;
  if (symlinkat(entry->target, parent, name) < 0) return receiver_fails(receiver, errno, path, "the link cannot be made");
  return dress_name(receiver, parent, name, entry, path);
}

static int make_special(struct receiver *receiver, int parent, const char *name, const struct tar_entry *entry,
                        const char *path) {
  bool is_device = entry->kind != TAR_FIFO;
  mode_t type = entry->kind == TAR_CHARACTER_DEVICE ? S_IFCHR : entry->kind == TAR_BLOCK_DEVICE ? S_IFBLK : S_IFIFO;
  if (is_device && receiver_is_host(receiver)) {
    leave_out(receiver, path, "a device of a container is not made on the host");
    return 0;
  }
  if (clear_name(receiver, parent, name, path) < 0) return -1;
  mode_t mask = umask(0);
  int made = mknodat(parent, name, type | (mode_of(receiver, entry->mode) & 0777), makedev(entry->major, entry->minor));
  int error = errno;
  umask(mask);
  if (made < 0 && is_device && error == EPERM) {
    leave_out(receiver, path, "a container makes no devices");
    return 0;
  }
  return made < 0 ? receiver_fails(receiver, error, path, "it cannot be made") : dress_name(receiver, parent, name, entry, path);
}

/* The target is an entry that came before, or what lies beneath the destination; a link at its end is linked itself. */
static int make_hard_link(struct receiver *receiver, int parent, const char *name, const struct tar_entry *entry,
                          const char *path) {
  char target[PATH_MAX];
  struct stat one, other;
  if (layer_path_clean(entry->target, target, receiver->failure) < 0)
    return receiver_fails(receiver, EBADMSG, path, "the target of a hard link is no path beneath the destination");
  const char *slash = strrchr(target, '/'), *last = slash == NULL ? target : slash + 1;
  if (*last == '\0') return receiver_fails(receiver, EBADMSG, path, "a hard link without a target");
  if (slash != NULL) target[slash - target] = '\0';
  const char *directory = slash == NULL ? "." : target;
  OWNED_FD from = receiver_open_beneath(receiver, directory);
  if (from < 0) return receiver_fails(receiver, errno, path, "what it is a hard link to cannot be found");
  if (fstatat(from, last, &one, AT_SYMLINK_NOFOLLOW) == 0 && fstatat(parent, name, &other, AT_SYMLINK_NOFOLLOW) == 0 &&
      one.st_dev == other.st_dev && one.st_ino == other.st_ino)
    return 0;
  if (clear_name(receiver, parent, name, path) < 0) return -1;
  return linkat(from, last, parent, name, 0) < 0 ? receiver_fails(receiver, errno, path, "the hard link cannot be made") : 0;
}

int receiver_make(struct receiver *receiver, int parent, const char *name, const struct tar_entry *entry,
                  const char *path) {
  switch (entry->kind) {
    case TAR_FILE: return make_file(receiver, parent, name, entry, path);
    case TAR_DIRECTORY: return make_directory(receiver, parent, name, entry, path);
    case TAR_SYMLINK: return make_symlink(receiver, parent, name, entry, path);
    case TAR_HARD_LINK: return make_hard_link(receiver, parent, name, entry, path);
    case TAR_CHARACTER_DEVICE:
    case TAR_BLOCK_DEVICE:
    case TAR_FIFO: return make_special(receiver, parent, name, entry, path);
    default: return receiver_fails(receiver, EBADMSG, path, "an entry of an unknown kind");
  }
}
