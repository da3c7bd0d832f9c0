/* Operations on the content of directories, and the ids with which file systems are acted on. */
#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "copy-tree.h"
#include "in-root.h"
#include "kernel-abi.h"
#include "program.h"
#include "tree-changes.h"

int op_copy_tree(struct program *program, struct wire_reader *payload) {
  int source = program_slot(program, wire_u32(payload));
  int destination = program_slot(program, wire_u32(payload));
  uint32_t limit_ms = wire_u32(payload);
  char object[sizeof program->failure.object];
  if (source < 0) return 0;
  if (destination < 0) return program_fails(program, destination, "destination");
  /* A descriptor of a mount is an O_PATH one. */
  OWNED_FD from = openat(source, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  OWNED_FD to = openat(destination, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (from < 0 || to < 0) return program_fails(program, -errno, "directory");
  mode_t mask = umask(0);
  int error = copy_tree(from, to, limit_ms, object, sizeof object);
  umask(mask);
  return error < 0 ? program_fails(program, error, object) : 0;
}

int op_tree_changes(struct program *program, struct wire_reader *payload) {
  int upper = program_slot(program, wire_u32(payload));
  int lower = program_slot(program, wire_u32(payload));
  char object[sizeof program->failure.object] = "";
  if (upper < 0 || lower < 0) return program_fails(program, -EBADF, "directory");
  struct tree_changes_request request = {.report_fd = program->report_fd, .id = program->id};
  request.bytes_max = wire_u64(payload);
  request.limit_ms = wire_u32(payload);
  OWNED_FD from = openat(upper, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  OWNED_FD below = openat(lower, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (from < 0 || below < 0) return program_fails(program, -errno, "directory");
  request.upper = from;
  request.lower = below;
  int error = tree_changes(&request, object, sizeof object);
  return error < 0 ? program_fails(program, error, object) : 0;
}

int op_dress(struct program *program, struct wire_reader *payload) {
  int source = program_slot(program, wire_u32(payload));
  int destination = program_slot(program, wire_u32(payload));
  if (source < 0) return program_fails(program, source, "source");
  if (destination < 0) return program_fails(program, destination, "destination");
  int error = copy_directory_attributes(source, destination);
  return error < 0 ? program_fails(program, error, "attributes of a directory") : 0;
}

/* Overlay makes directories with the ids of whoever mounts it, and on an idmapped mount an id without a mapping
 * cannot own anything. Leaving id 0 must not cost the capabilities that follow the file system id. */
int op_fs_ids(struct program *program, struct wire_reader *payload) {
  uid_t uid = wire_u32(payload);
  gid_t gid = wire_u32(payload);
  char object[32];
  snprintf(object, sizeof object, "%u:%u", uid, gid);
  if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) < 0) return program_fails(program, -errno, object);
  setfsgid(gid);
  setfsuid(uid);
  int error = setfsuid((uid_t)-1) == (int)uid && setfsgid((gid_t)-1) == (int)gid ? 0 : -EPERM;
  if (prctl(PR_SET_SECUREBITS, 0) < 0 && error == 0) error = -errno;
  return error < 0 ? program_fails(program, error, object) : 0;
}

int op_make_node(struct program *program, struct wire_reader *payload) {
  uint32_t slot = wire_u32(payload);
  mode_t mode = wire_u32(payload);
  uint64_t rdev = wire_u64(payload);
  uid_t uid = wire_u32(payload);
  gid_t gid = wire_u32(payload);
  const char *path = wire_string(payload);
  int base = slot == BERTH_SLOT_NONE ? program->root_fd : program_slot(program, slot);
  if (base < 0) return program_fails(program, base, path);
  int error = in_root_make_node(base, path, mode, (dev_t)rdev, uid, gid);
  return error < 0 ? program_fails(program, error, path) : 0;
}

static int write_all(int fd, const uint8_t *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, bytes, length);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? -errno : -EIO;
    bytes += written;
    length -= (size_t)written;
  }
  return 0;
}

/* The owner comes before the mode: chown(2) takes set-id bits away. */
static int put_file(int directory, const char *name, const uint8_t *bytes, size_t length, mode_t mode, uid_t uid,
                    gid_t gid) {
  uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  OWNED_FD fd = sys_openat2(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600, resolve);
  if (fd < 0) return -errno;
  int error = write_all(fd, bytes, length);
  if (error < 0) return error;
  return fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0 ? -errno : 0;
}

/* What is put may be a secret, and the supervisor lives as long as the container: its copy of it does not. */
int op_put_file(struct program *program, struct wire_reader *payload) {
  int directory = program_slot(program, wire_u32(payload));
  mode_t mode = wire_u32(payload);
  uid_t uid = wire_u32(payload);
  gid_t gid = wire_u32(payload);
  const char *name = wire_string(payload);
  uint32_t length;
  const uint8_t *bytes = wire_bytes(payload, &length);
  if (directory < 0) return program_fails(program, directory, name);
  int error = put_file(directory, name, bytes, length, mode, uid, gid);
  explicit_bzero((uint8_t *)(uintptr_t)bytes, length);
  return error < 0 ? program_fails(program, error, name) : 0;
}
