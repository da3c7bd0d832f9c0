/* Making mounts, as descriptors that are not attached anywhere yet: the host's part, and the init's too. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "in-root.h"
#include "kernel-abi.h"
#include "overlay.h"
#include "program.h"

/* The object is opened first and looked at, so what is cloned is what was looked at. */
static int open_object(struct program *program, uint32_t base_slot, const char *path) {
  if (base_slot == BERTH_SLOT_NONE) return sys_openat2(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0, 0);
  int base = program_slot(program, base_slot);
  if (base < 0) {
    errno = -base;
    return -1;
  }
  if (*path == '\0') return fcntl(base, F_DUPFD_CLOEXEC, 3);
  return sys_openat2(base, path, O_PATH | O_CLOEXEC, 0,
                     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

static int check_object(struct program *program, int fd, uint64_t rdev, uint32_t type) {
  struct stat status;
  if (fstat(fd, &status) < 0) return -errno;
  if (type != 0 && (status.st_mode & S_IFMT) != type) {
    program_detail(program, "it is of another type than expected");
    return S_ISDIR(status.st_mode) ? -EISDIR : type == S_IFDIR ? -ENOTDIR : -EINVAL;
  }
  if (rdev != 0 && status.st_rdev != rdev) {
    program_detail(program, "it is another device than expected");
    return -ENODEV;
  }
  return 0;
}

int op_open_tree(struct program *program, struct wire_reader *payload) {
  uint32_t slot = wire_u32(payload);
  uint32_t base_slot = wire_u32(payload);
  uint32_t flags = wire_u32(payload);
  uint64_t rdev = wire_u64(payload);
  uint32_t type = wire_u32(payload);
  const char *path = wire_string(payload);
  OWNED_FD object = open_object(program, base_slot, path);
  if (object < 0) return program_fails(program, -errno, path);
  int error = check_object(program, object, rdev, type);
  if (error < 0) return program_fails(program, error, path);
  int tree = sys_open_tree(object, "", flags | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  return tree < 0 ? program_fails(program, -errno, path) : program_fill_slot(program, slot, tree);
}

int op_bind_from_root(struct program *program, struct wire_reader *payload) {
  uint32_t slot = wire_u32(payload);
  uint32_t flags = wire_u32(payload);
  const char *path = wire_string(payload);
  OWNED_FD object = in_root_open(program->root_fd, path);
  if (object < 0) return program_fails(program, object, path);
  int tree = sys_open_tree(object, "", flags | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  return tree < 0 ? program_fails(program, -errno, path) : program_fill_slot(program, slot, tree);
}

int op_mount_setattr(struct program *program, struct wire_reader *payload) {
  int mount = program_slot(program, wire_u32(payload));
  unsigned flags = wire_u32(payload) != 0 ? AT_RECURSIVE : 0;
  struct mount_attr attributes = {.attr_set = wire_u64(payload)};
  attributes.attr_clr = wire_u64(payload);
  attributes.propagation = wire_u64(payload);
  uint32_t namespace_slot = wire_u32(payload);
  if (mount < 0) return program_fails(program, mount, "mount slot");
  if (namespace_slot != BERTH_SLOT_NONE) {
    int namespace = program_slot(program, namespace_slot);
    if (namespace < 0) return program_fails(program, namespace, "user namespace slot");
    attributes.attr_set |= MOUNT_ATTR_IDMAP;
    attributes.userns_fd = (uint64_t)namespace;
  }
  if (sys_mount_setattr(mount, flags, &attributes) == 0) return 0;
  return program_fails(program, -errno, namespace_slot == BERTH_SLOT_NONE ? "mount attributes" : "id-mapped mount");
}

/* File systems that do not take descriptors here get the name that procfs gives the descriptor. */
static int set_descriptor(struct program *program, int fs, const char *key, uint32_t slot) {
  char path[32];
  int fd = program_slot(program, slot);
  if (fd < 0) return fd;
  if (sys_fsconfig(fs, FSCONFIG_SET_FD, key, NULL, fd) == 0) return 0;
  if (errno != EINVAL) return -errno;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return sys_fsconfig(fs, FSCONFIG_SET_STRING, key, path, 0) < 0 ? -errno : 0;
}

static int set_parameter(struct program *program, int fs, struct wire_reader *payload) {
  uint32_t kind = wire_u32(payload);
  const char *key = wire_string(payload);
  const char *value = wire_string(payload);
  uint32_t slot = wire_u32(payload);
  switch (kind) {
    case BERTH_FS_FLAG: return sys_fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0) < 0 ? -errno : 0;
    case BERTH_FS_STRING: return sys_fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0) < 0 ? -errno : 0;
    case BERTH_FS_FD: return set_descriptor(program, fs, key, slot);
    default: return -EINVAL;
  }
}

/* The context keeps messages, one a read, each with its kind in front ("e overlay: ..."). The last one tells most. */
static void read_messages(struct program *program, int fs) {
  char text[256];
  for (int reads = 0; reads < 32; reads++) {
    ssize_t length = read(fs, text, sizeof text - 1);
    if (length <= 0) return;
    while (length > 0 && text[length - 1] == '\n') length--;
    text[length] = '\0';
    program_detail(program, text);
  }
}

int op_fsopen(struct program *program, struct wire_reader *payload) {
  uint32_t slot = wire_u32(payload);
  const char *name = wire_string(payload);
  uint64_t attributes = wire_u64(payload);
  uint32_t count = wire_u32(payload);
  struct wire_reader parameters = *payload;
  OWNED_FD fs = sys_fsopen(name);
  if (fs < 0) return program_fails(program, -errno, name);
  int error = 0;
  for (uint32_t i = 0; i < count && error == 0; i++) error = set_parameter(program, fs, payload);
  if (error == 0 && sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) error = -errno;
  int mount = error == 0 ? sys_fsmount(fs, (unsigned)attributes) : -1;
  if (error == 0 && mount < 0) error = -errno;
  if ((error == -EINVAL || error == -EOPNOTSUPP) && strcmp(name, "overlay") == 0) {
    mount = overlay_by_name(program, parameters, count, attributes);
    error = mount < 0 ? mount : 0;
  }
  if (error == 0) return program_fill_slot(program, slot, mount);
  read_messages(program, fs);
  return program_fails(program, error, name);
}
