/* Building the container's tree and making it the root: the init's mounts. No name is looked up outside the root. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "in-root.h"
#include "init-ids.h"
#include "kernel-abi.h"
#include "program.h"

int op_private_mounts(struct program *program, struct wire_reader *payload) {
  (void)payload;
  for (int pass = 0; pass < 2; pass++) {
    unsigned long flags = MS_REC | (pass == 0 ? MS_SLAVE : MS_PRIVATE);
    if (syscall(SYS_mount, NULL, "/", NULL, flags, NULL) < 0) return program_fails(program, -errno, "/");
  }
  return 0;
}

/* From here on the root's descriptor, not a path, is where everything is resolved from. */
int op_attach_root(struct program *program, struct wire_reader *payload) {
  uint32_t slot = wire_u32(payload);
  const char *path = wire_string(payload);
  int mount = program_slot(program, slot);
  if (mount < 0) return program_fails(program, mount, "root slot");
  if (program->attach_fd < 0) program->attach_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (program->attach_fd < 0) return program_fails(program, -errno, path);
  if (sys_move_mount_fd(mount, program->attach_fd) < 0) return program_fails(program, -errno, path);
  drop_fd(&program->attach_fd);
  program->root_fd = fcntl(mount, F_DUPFD_CLOEXEC, 3);
  return program->root_fd < 0 ? -errno : 0;
}

int op_mount(struct program *program, struct wire_reader *payload) {
  int mount = program_slot(program, wire_u32(payload));
  uint32_t create = wire_u32(payload);
  mode_t mode = wire_u32(payload);
  const char *path = wire_string(payload);
  if (mount < 0) return program_fails(program, mount, path);
  OWNED_FD target = create == 0 ? in_root_open(program->root_fd, path)
                                : in_root_open_or_make(program->root_fd, path,
                                                       create == 1 ? IN_ROOT_DIRECTORY : IN_ROOT_FILE, mode);
  if (target < 0) return program_fails(program, target, path);
  return sys_move_mount_fd(mount, target) < 0 ? program_fails(program, -errno, path) : 0;
}

int op_make_dir(struct program *program, struct wire_reader *payload) {
  mode_t mode = wire_u32(payload);
  const char *path = wire_string(payload);
  OWNED_FD made = in_root_open_or_make(program->root_fd, path, IN_ROOT_DIRECTORY, mode);
  return made < 0 ? program_fails(program, made, path) : 0;
}

int op_make_symlink(struct program *program, struct wire_reader *payload) {
  const char *target = wire_string(payload);
  const char *path = wire_string(payload);
  int error = in_root_make_symlink(program->root_fd, target, path);
  return error < 0 ? program_fails(program, error, path) : 0;
}

int op_read_only(struct program *program, struct wire_reader *payload) {
  const char *path = wire_string(payload);
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  OWNED_FD target = in_root_open(program->root_fd, path);
  if (target < 0) return program_fails(program, target, path);
  OWNED_FD tree = sys_open_tree(target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
  if (tree < 0) return program_fails(program, -errno, path);
  if (sys_mount_setattr(tree, AT_RECURSIVE, &attributes) < 0) return program_fails(program, -errno, path);
  return sys_move_mount_fd(tree, target) < 0 ? program_fails(program, -errno, path) : 0;
}

/* A detached mount that comes from another mount namespace cannot be cloned (EINVAL), but it can be attached: the
 * first mask uses the mount itself, and the later ones clone it from there. */
static int cover(int mask, int target) {
  OWNED_FD copy = sys_open_tree(mask, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  if (copy < 0 && errno != EINVAL) return -errno;
  return sys_move_mount_fd(copy < 0 ? mask : copy, target) < 0 ? -errno : 0;
}

int op_mask(struct program *program, struct wire_reader *payload) {
  int null_device = program_slot(program, wire_u32(payload));
  int empty_directory = program_slot(program, wire_u32(payload));
  const char *path = wire_string(payload);
  struct stat status;
  OWNED_FD target = in_root_open(program->root_fd, path);
  if (target == -ENOENT || target == -ENOTDIR) return 0;
  if (target < 0) return program_fails(program, target, path);
  if (fstat(target, &status) < 0) return program_fails(program, -errno, path);
  int mask = S_ISDIR(status.st_mode) ? empty_directory : null_device;
  int error = mask < 0 ? mask : cover(mask, target);
  return error < 0 ? program_fails(program, error, path) : 0;
}

static int check_at_root(int root) {
  struct stat wanted, here;
  char path[8];
  if (fstat(root, &wanted) < 0 || stat("/", &here) < 0) return -errno;
  if (wanted.st_dev != here.st_dev || wanted.st_ino != here.st_ino) return -EXDEV;
  if (syscall(SYS_getcwd, path, sizeof path) < 0) return -errno;
  return strcmp(path, "/") == 0 ? 0 : -EXDEV;
}

/* pivot_root(2), NOTES: with "." twice the old root lies on top of the new one, and umount2(".") finds it there. */
int op_pivot(struct program *program, struct wire_reader *payload) {
  (void)payload;
  if (program->root_fd < 0) return program_fails(program, -EBADF, "/");
  if (fchdir(program->root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
      syscall(SYS_umount2, ".", MNT_DETACH) < 0 || chdir("/") < 0) {
    return program_fails(program, -errno, "/");
  }
  int error = check_at_root(program->root_fd);
  return error < 0 ? program_fails(program, error, "/") : reopen_null_stdio();
}

int op_root_read_only(struct program *program, struct wire_reader *payload) {
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
  (void)payload;
  return sys_mount_setattr(program->root_fd, 0, &attributes) < 0 ? program_fails(program, -errno, "/") : 0;
}

/* Written to a procfs that nobody else can have mounted something on. */
static int open_private_proc(struct program *program) {
  if (program->proc_fd >= 0) return 0;
  OWNED_FD fs = sys_fsopen("proc");
  if (fs < 0 || sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) return -errno;
  program->proc_fd = sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  return program->proc_fd < 0 ? -errno : 0;
}

int op_proc(struct program *program, struct wire_reader *payload) {
  int proc = program_slot(program, wire_u32(payload));
  if (proc < 0) return program_fails(program, proc, "procfs slot");
  drop_fd(&program->proc_fd);
  program->proc_fd = fcntl(proc, F_DUPFD_CLOEXEC, 3);
  return program->proc_fd < 0 ? program_fails(program, -errno, "procfs slot") : 0;
}

int op_sysctl(struct program *program, struct wire_reader *payload) {
  const char *path = wire_string(payload);
  const char *value = wire_string(payload);
  size_t length = strlen(value);
  int error = open_private_proc(program);
  if (error < 0) return program_fails(program, error, path);
  OWNED_FD root = sys_openat2(program->proc_fd, "sys", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_BENEATH);
  if (root < 0) return program_fails(program, -errno, path);
  OWNED_FD file = sys_openat2(root, path, O_WRONLY | O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  if (file < 0) return program_fails(program, -errno, path);
  ssize_t written = write(file, value, length);
  if (written < 0) return program_fails(program, -errno, path);
  return (size_t)written == length ? 0 : program_fails(program, -EIO, path);
}
