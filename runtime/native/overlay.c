#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "kernel-abi.h"

/* mount(2) takes one page of options. */
#define OPTION_BYTES_MAX 4096

struct overlay_job {
  struct program *program;
  struct wire_reader parameters;
  uint32_t count;
  uint64_t attributes;
  int result;
  size_t length;
  char options[OPTION_BYTES_MAX];
};

static __attribute__((format(printf, 2, 3))) int append(struct overlay_job *job, const char *format, ...) {
  va_list arguments;
  size_t room = sizeof job->options - job->length;
  va_start(arguments, format);
  int length = vsnprintf(job->options + job->length, room, format, arguments);
  va_end(arguments);
  if (length < 0 || (size_t)length >= room) return -E2BIG;
  job->length += (size_t)length;
  return 0;
}

/* Attached on top of whatever covers "/" here: what counts is the namespace. A name is never looked up through it.
 * A clone is a peer of the mount that it was cloned from: what lands on top of it would appear on the host, too. */
static int attach_anywhere(int mount) {
  struct mount_attr attributes = {.propagation = MS_PRIVATE};
  OWNED_FD root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (sys_mount_setattr(mount, 0, &attributes) < 0) return -errno;
  if (root < 0 || sys_move_mount_fd(mount, root) < 0) return -errno;
  return 0;
}

static int attach_mount_of(int directory) {
  int error = attach_anywhere(directory);
  if (error != -EINVAL) return error;
  /* Not the root of its mount: the upper and the work directory are one below, side by side. */
  OWNED_FD above = openat(directory, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (above < 0) return -errno;
  error = attach_anywhere(above);
  /* The other one has attached it already: a mount cannot be moved onto itself. */
  return error == -ELOOP ? 0 : error;
}

/* Layers come highest first, as "lowerdir" lists them. Names are those of the working directory, /proc/self/fd. */
static int add_parameter(struct overlay_job *job, struct wire_reader *parameters, bool *in_layers) {
  uint32_t kind = wire_u32(parameters);
  const char *key = wire_string(parameters);
  const char *value = wire_string(parameters);
  uint32_t slot = wire_u32(parameters);
  const char *comma = job->length == 0 ? "" : ",";
  bool is_layer = kind == BERTH_FS_FD && strcmp(key, "lowerdir+") == 0;
  bool follows = is_layer && *in_layers;
  *in_layers = is_layer;
  if (kind == BERTH_FS_FLAG) return append(job, "%s%s", comma, key);
  if (kind == BERTH_FS_STRING) return append(job, "%s%s=%s", comma, key, value);
  int fd = program_slot(job->program, slot);
  int error = fd < 0 ? fd : attach_mount_of(fd);
  if (error < 0) return error;
  if (follows) return append(job, ":%d", fd);
  return append(job, "%s%s=%d", comma, is_layer ? "lowerdir" : key, fd);
}

static int add_parameters(struct overlay_job *job) {
  struct wire_reader parameters = job->parameters;
  bool in_layers = false;
  int error = 0;
  for (uint32_t i = 0; i < job->count && error == 0; i++) error = add_parameter(job, &parameters, &in_layers);
  return error;
}

static int make_staging(void) {
  OWNED_FD fs = sys_fsopen("tmpfs");
  if (fs < 0 || sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) return -errno;
  OWNED_FD staging = sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  if (staging < 0 || mkdirat(staging, "overlay", 0700) < 0) return -errno;
  int error = attach_anywhere(staging);
  return error < 0 ? error : steal_fd(&staging);
}

/* In the new mount namespace. What is attached here goes with it; the overlay keeps private copies of its layers. */
static int make_overlay(struct overlay_job *job) {
  struct mount_attr attributes = {.attr_set = job->attributes};
  char target[16];
  if (syscall(SYS_mount, NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) return -errno;
  OWNED_FD staging = make_staging();
  if (staging < 0) return staging;
  int error = add_parameters(job);
  if (error < 0) return error;
  OWNED_FD place = openat(staging, "overlay", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (place < 0 || chdir("/proc/self/fd") < 0) return -errno;
  snprintf(target, sizeof target, "%d", place);
  if (syscall(SYS_mount, "overlay", target, "overlay", 0, job->options) < 0) return -errno;
  OWNED_FD overlay = sys_open_tree(staging, "overlay", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (overlay < 0 || sys_mount_setattr(overlay, 0, &attributes) < 0) return -errno;
  return steal_fd(&overlay);
}

static int run_job(void *argument) {
  struct overlay_job *job = argument;
  job->result = make_overlay(job);
  return 0;
}

/* The child shares our memory and descriptors, and we wait until it has ended: only the namespace is its own. */
int overlay_by_name(struct program *program, struct wire_reader parameters, uint32_t count, uint64_t attributes) {
  static _Alignas(16) char stack[65536];
  struct overlay_job job = {
      .program = program, .parameters = parameters, .count = count, .attributes = attributes, .result = -ECHILD};
  int flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_NEWNS | SIGCHLD;
  pid_t pid = clone(run_job, stack + sizeof stack, flags, &job);
  if (pid < 0) return -errno;
  waitpid(pid, NULL, 0);
  return job.result;
}
