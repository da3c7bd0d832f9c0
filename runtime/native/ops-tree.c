/* Operations on the content of directories, and the ids with which file systems are acted on. */
#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "copy-tree.h"
#include "in-root.h"
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
