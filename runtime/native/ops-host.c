/* Operations with the host's rights: files, cgroups, and what is written about the child. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "in-root.h"
#include "kernel-abi.h"
#include "program.h"

/* One write: kernel files take a value whole or not at all. */
static int write_whole(int fd, const void *bytes, size_t length) {
  ssize_t written = write(fd, bytes, length);
  if (written < 0) return -errno;
  return (size_t)written == length ? 0 : -EIO;
}

int op_mkdir(struct program *program, struct wire_reader *payload) {
  mode_t mode = wire_u32(payload);
  bool exist_ok = wire_u32(payload) != 0;
  const char *path = wire_string(payload);
  if (mkdir(path, mode) == 0 || (errno == EEXIST && exist_ok)) return 0;
  return program_fails(program, -errno, path);
}

int op_write_file(struct program *program, struct wire_reader *payload) {
  int flags = (int)wire_u32(payload);
  mode_t mode = wire_u32(payload);
  const char *path = wire_string(payload);
  uint32_t length;
  const uint8_t *bytes = wire_bytes(payload, &length);
  OWNED_FD fd = open(path, (flags & ~O_ACCMODE) | O_WRONLY | O_CLOEXEC, mode);
  if (fd < 0) return program_fails(program, -errno, path);
  int error = write_whole(fd, bytes, length);
  return error < 0 ? program_fails(program, error, path) : 0;
}

int op_open(struct program *program, struct wire_reader *payload) {
  uint32_t slot = wire_u32(payload);
  uint32_t base_slot = wire_u32(payload);
  uint32_t flags = wire_u32(payload) | O_CLOEXEC;
  const char *path = wire_string(payload);
  uint64_t mode = (flags & O_CREAT) != 0 ? 0600 : 0;
  int base = AT_FDCWD;
  uint64_t resolve = 0;
  if (base_slot != BERTH_SLOT_NONE) {
    base = program_slot(program, base_slot);
    if (base < 0) return program_fails(program, base, path);
    resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  }
  int fd = sys_openat2(base, path, flags, mode, resolve);
  return fd < 0 ? program_fails(program, -errno, path) : program_fill_slot(program, slot, fd);
}

int op_open_or_make_dirs(struct program *program, struct wire_reader *payload) {
  uint32_t slot = wire_u32(payload);
  mode_t mode = wire_u32(payload) & 0777;
  const char *path = wire_string(payload);
  if (*path != '/') return program_fails(program, -EINVAL, path);
  OWNED_FD root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return program_fails(program, -errno, "/");
  int made = beneath_open_or_make_dirs(root, path, mode);
  return made < 0 ? program_fails(program, made, path) : program_fill_slot(program, slot, made);
}

int op_unlink(struct program *program, struct wire_reader *payload) {
  int flags = wire_u32(payload) != 0 ? AT_REMOVEDIR : 0;
  const char *path = wire_string(payload);
  return unlinkat(AT_FDCWD, path, flags) < 0 ? program_fails(program, -errno, path) : 0;
}

int op_cgroup_attach(struct program *program, struct wire_reader *payload) {
  const char *path = wire_string(payload);
  char pid[16];
  if (program->child == 0) return program_fails(program, -ESRCH, path);
  OWNED_FD directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return program_fails(program, -errno, path);
  OWNED_FD procs = openat(directory, "cgroup.procs", O_WRONLY | O_CLOEXEC);
  if (procs < 0) return program_fails(program, -errno, path);
  int length = snprintf(pid, sizeof pid, "%d", program->child);
  int error = write_whole(procs, pid, (size_t)length);
  return error < 0 ? program_fails(program, error, path) : 0;
}

/* Attaching keeps the program alive; its descriptor is not needed after that. */
int op_cgroup_devices(struct program *program, struct wire_reader *payload) {
  const char *path = wire_string(payload);
  uint32_t length;
  const uint8_t *bytes = wire_bytes(payload, &length);
  union bpf_attr load;
  union bpf_attr attach;
  memset(&load, 0, sizeof load);
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insn_cnt = length / (uint32_t)sizeof(struct bpf_insn);
  load.insns = (uint64_t)(uintptr_t)bytes;
  load.license = (uint64_t)(uintptr_t) "Apache-2.0";
  OWNED_FD directory = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
  if (directory < 0) return program_fails(program, -errno, path);
  OWNED_FD loaded = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
  if (loaded < 0) return program_fails(program, -errno, "device program");
  memset(&attach, 0, sizeof attach);
  attach.target_fd = (uint32_t)directory;
  attach.attach_bpf_fd = (uint32_t)loaded;
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach) < 0) {
    return program_fails(program, -errno, path);
  }
  return 0;
}

/* The child is not reaped yet, so its number cannot be another process's. */
static int write_about_child(struct program *program, const char *file, const char *text) {
  char path[64];
  if (program->child == 0) return program_fails(program, -ESRCH, file);
  snprintf(path, sizeof path, "/proc/%d/%s", program->child, file);
  OWNED_FD fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return program_fails(program, -errno, file);
  int error = write_whole(fd, text, strlen(text));
  return error < 0 ? program_fails(program, error, file) : 0;
}

int op_child_oom_score(struct program *program, struct wire_reader *payload) {
  char text[16];
  snprintf(text, sizeof text, "%d", (int32_t)wire_u32(payload));
  return write_about_child(program, "oom_score_adj", text);
}

int op_child_rlimit(struct program *program, struct wire_reader *payload) {
  int resource = (int)wire_u32(payload);
  struct rlimit limit;
  char name[32];
  limit.rlim_cur = wire_u64(payload);
  limit.rlim_max = wire_u64(payload);
  snprintf(name, sizeof name, "resource limit %d", resource);
  if (program->child == 0) return program_fails(program, -ESRCH, name);
  if (prlimit(program->child, (__rlimit_resource_t)resource, &limit, NULL) == 0) return 0;
  return program_fails(program, -errno, name);
}

uint32_t host_id_of_root(const char *map) {
  for (const char *line = map; *line != '\0'; line = strchrnul(line, '\n'), line += *line == '\n') {
    char *at;
    unsigned long inside = strtoul(line, &at, 10);
    unsigned long outside = strtoul(at, &at, 10);
    unsigned long count = strtoul(at, &at, 10);
    if (inside == 0 && count > 0) return (uint32_t)outside;
  }
  return UINT32_MAX;
}

int op_id_map(struct program *program, struct wire_reader *payload) {
  const char *uid_map = wire_string(payload);
  const char *gid_map = wire_string(payload);
  int error = write_about_child(program, "uid_map", uid_map);
  if (error == 0) error = write_about_child(program, "gid_map", gid_map);
  if (error < 0) return error;
  program->root_uid = host_id_of_root(uid_map);
  program->root_gid = host_id_of_root(gid_map);
  program_give_stdio(program);
  return 0;
}

int op_child_namespace(struct program *program, struct wire_reader *payload) {
  uint32_t slot = wire_u32(payload);
  const char *name = wire_string(payload);
  char path[64];
  if (program->child == 0) return program_fails(program, -ESRCH, name);
  if (strlen(name) > 20 || strchr(name, '/') != NULL) return program_fails(program, -EINVAL, name);
  snprintf(path, sizeof path, "/proc/%d/ns/%s", program->child, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  return fd < 0 ? program_fails(program, -errno, name) : program_fill_slot(program, slot, fd);
}
