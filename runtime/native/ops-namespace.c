/* Making, joining and naming namespaces: everything that starts a process or hands it something. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "cleanup.h"
#include "init-ids.h"
#include "kernel-abi.h"
#include "program.h"

#define NAMESPACE_FLAGS                                                                             \
  ((uint64_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
              CLONE_NEWNET | CLONE_NEWTIME))

static int open_channel(struct program *program, int *child_end) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return -errno;
  program->channel = ends[0];
  *child_end = ends[1];
  return 0;
}

/* A host directory that only the host's root may reach has to be opened before the child gives up that id. */
static void open_attach_directory(struct program *program) {
  struct wire_reader rest = program->rest;
  struct operation operation;
  while (program_next(&rest, &operation)) {
    if (operation.op != BERTH_OP_ATTACH_ROOT) continue;
    wire_u32(&operation.payload);
    program->attach_fd = open(wire_string(&operation.payload), O_PATH | O_DIRECTORY | O_CLOEXEC);
    return;
  }
}

/* The host's procfs, still in sight, says who we are there. */
static pid_t own_host_pid(void) {
  char text[16] = "";
  return readlink("/proc/self", text, sizeof text - 1) > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

/* In the child: ids and capabilities are those of the new user namespace where there is one, else the host's. */
static int begin_init(struct program *program, int child_end) {
  drop_fd(&program->channel);
  /* Its end is what tells the agent that the message is whole. */
  drop_fd(&program->seccomp_agent);
  program->channel = child_end;
  program->is_init = true;
  /* Nobody in the container may look into this process before it has become the payload. */
  prctl(PR_SET_DUMPABLE, 0);
  program->host_pid = own_host_pid();
  for (int i = 0; i < 3; i++) {
    if (program->stdio[i] >= 0 && dup2(program->stdio[i], i) < 0) return -errno;
    /* A process that is held would keep the caller's pipes open beside its terminal. */
    drop_fd(&program->stdio[i]);
  }
  return 0;
}

/* Kernels before 5.3, or a filter around us, have no clone3; the cgroup is then entered after the fact. */
static pid_t clone_in_old_ways(uint64_t flags, int cgroup, int *pidfd) {
  char text[16];
  if ((flags & CLONE_NEWTIME) != 0) {
    errno = ENOSYS;
    return -1;
  }
  pid_t pid = (pid_t)syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, NULL, pidfd, NULL, NULL);
  if (pid <= 0 || cgroup < 0) return pid;
  OWNED_FD procs = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
  int length = snprintf(text, sizeof text, "%d", pid);
  if (procs >= 0 && write(procs, text, (size_t)length) == length) return pid;
  int saved = errno;
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  close(*pidfd);
  errno = saved;
  return -1;
}

static pid_t clone_child(uint64_t flags, int cgroup, int *pidfd) {
  struct clone_args arguments = {.flags = flags | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)pidfd};
  if ((flags & CLONE_PARENT) == 0) arguments.exit_signal = SIGCHLD;
  if (cgroup >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = (uint64_t)cgroup;
  }
  pid_t pid = sys_clone3(&arguments);
  return pid < 0 && errno == ENOSYS ? clone_in_old_ways(flags, cgroup, pidfd) : pid;
}

/* In the process between: has entered the namespaces (or says why not), so that what it clones is born inside all
 * of them and is not seen there before. Returns in the clone only, whose parent is the supervisor. */
static int clone_inside(struct program *program, int entered, uint64_t flags, int child_end) {
  struct channel_message message = {.kind = CHANNEL_JOINED, .fd_count = 1};
  errno = -entered;
  message.body.pid = entered < 0 ? -1 : clone_child(flags | CLONE_PARENT, -1, &message.fds[0]);
  if (message.body.pid == 0) return begin_init(program, child_end);
  if (message.body.pid < 0) {
    int error = errno;
    message.kind = CHANNEL_FAILED;
    message.fd_count = 0;
    message.body.failure = program->failure;
    message.body.failure.error = error;
  }
  channel_send(child_end, &message);
  _exit(0);
}

/* In the supervisor: learns of the child that the process between has made. */
static int take_child(struct program *program, pid_t between) {
  struct channel_message message;
  int got = channel_receive(program->channel, &message, 0);
  waitpid(between, NULL, 0);
  if (got == 1 && message.kind == CHANNEL_JOINED && message.fd_count == 1) {
    program->child = message.body.pid;
    program->child_pidfd = message.fds[0];
    return 0;
  }
  if (got != 1 || message.kind != CHANNEL_FAILED) return -ECHILD;
  snprintf(program->failure.object, sizeof program->failure.object, "%s", message.body.failure.object);
  return message.body.failure.error > 0 ? -message.body.failure.error : -ECHILD;
}

int op_enter(struct program *program, struct wire_reader *payload) {
  uint32_t slot = wire_u32(payload);
  uint64_t flag = wire_u64(payload);
  int error = program_slot(program, slot);
  if (error < 0) return program_fails(program, error, "namespace slot");
  if ((flag & ~(NAMESPACE_FLAGS & ~(uint64_t)CLONE_NEWNS)) != 0 || program->entered_count == PROGRAM_ENTERED_MAX) {
    return program_fails(program, -EINVAL, "namespace to enter");
  }
  program->entered[program->entered_count] = (int)slot;
  program->entered_flags[program->entered_count++] = flag;
  return 0;
}

/* The user namespace comes last: the right to enter the others is the host's. */
static int enter_all(struct program *program) {
  for (int pass = 0; pass < 2; pass++) {
    for (size_t i = 0; i < program->entered_count; i++) {
      bool is_user = program->entered_flags[i] == CLONE_NEWUSER;
      if (is_user != (pass == 1)) continue;
      int fd = program_slot(program, (uint32_t)program->entered[i]);
      if (sys_setns(fd, program->entered_flags[i]) < 0) return program_fails(program, -errno, "namespace to enter");
    }
  }
  return 0;
}

int op_time_offsets(struct program *program, struct wire_reader *payload) {
  program->time_offsets = wire_string(payload);
  return 0;
}

/* Offsets can be set until the first process is in the namespace: who makes it stays outside, and its child is inside. */
static int begin_time(struct program *program) {
  if (program->time_offsets == NULL) return 0;
  if (sys_unshare(CLONE_NEWTIME) < 0) return program_fails(program, -errno, "time namespace");
  OWNED_FD fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
  size_t length = strlen(program->time_offsets);
  if (fd >= 0 && write(fd, program->time_offsets, length) == (ssize_t)length) return 0;
  return program_fails(program, -errno, "offsets of the time namespace");
}

/* Where the user namespace was entered, its maps are what they are: they tell who its root is. */
static void learn_root_ids(struct program *program) {
  char map[512];
  for (int group = 0; group < 2; group++) {
    snprintf(map, sizeof map, "/proc/%d/%s", program->child, group ? "gid_map" : "uid_map");
    OWNED_FD fd = open(map, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, map, sizeof map - 1);
    if (length <= 0) return;
    map[length] = '\0';
    if (group) program->root_gid = host_id_of_root(map);
    else program->root_uid = host_id_of_root(map);
  }
  program_give_stdio(program);
}

/* Namespaces are entered by a process between, as JOIN does: the supervisor stays where it is. */
static int clone_entered(struct program *program, uint64_t flags, int cgroup, int child_end) {
  int between_pidfd = -1;
  pid_t between = clone_child(0, cgroup, &between_pidfd);
  if (between == 0) {
    int entered = begin_time(program);
    if (entered == 0) entered = enter_all(program);
    int error = clone_inside(program, entered, flags, child_end);
    if ((flags & CLONE_NEWNS) != 0) open_attach_directory(program);
    return error;
  }
  int error = -errno;
  close(child_end);
  if (between < 0) return program_fails(program, error, "namespaces");
  close(between_pidfd);
  error = take_child(program, between);
  if (error == 0) learn_root_ids(program);
  return error;
}

int op_clone(struct program *program, struct wire_reader *payload) {
  uint64_t flags = wire_u64(payload);
  uint32_t cgroup_slot = wire_u32(payload);
  int cgroup = cgroup_slot == BERTH_SLOT_NONE ? -1 : program_slot(program, cgroup_slot);
  int child_end = -1, pidfd = -1;
  if ((flags & ~NAMESPACE_FLAGS) != 0) return program_fails(program, -EINVAL, "clone flags");
  if (cgroup_slot != BERTH_SLOT_NONE && cgroup < 0) return program_fails(program, cgroup, "cgroup slot");
  int error = open_channel(program, &child_end);
  if (error < 0) return error;
  program->clone_flags = flags;
  if (program->time_offsets != NULL) flags &= ~(uint64_t)CLONE_NEWTIME;
  if (program->entered_count > 0 || program->time_offsets != NULL) {
    return clone_entered(program, flags, cgroup, child_end);
  }
  pid_t pid = clone_child(flags, cgroup, &pidfd);
  if (pid == 0) {
    error = begin_init(program, child_end);
    if ((flags & CLONE_NEWNS) != 0) open_attach_directory(program);
    return error;
  }
  error = -errno;
  close(child_end);
  if (pid < 0) return program_fails(program, error, "namespaces");
  program->child = pid;
  program->child_pidfd = pidfd;
  return 0;
}

/* In the clone: the container's root directory, and the ids of its root. */
static int enter_container(struct program *program) {
  program->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (program->root_fd < 0) return program_fails(program, -errno, "/");
  int error = become_namespace_root();
  return error < 0 ? program_fails(program, error, "ids of the container's root") : reopen_null_stdio();
}

int op_join(struct program *program, struct wire_reader *payload) {
  uint64_t flags = wire_u32(payload);
  uint32_t cgroup_slot = wire_u32(payload);
  int cgroup = cgroup_slot == BERTH_SLOT_NONE ? -1 : program_slot(program, cgroup_slot);
  int child_end = -1, between_pidfd = -1;
  if (cgroup_slot != BERTH_SLOT_NONE && cgroup < 0) return program_fails(program, cgroup, "cgroup slot");
  program_fails(program, 0, "namespaces of the container");
  if ((flags & ~NAMESPACE_FLAGS) != 0) return -EINVAL;
  int error = open_channel(program, &child_end);
  if (error < 0) return error;
  program->clone_flags = flags;
  program_give_stdio(program);
  pid_t between = clone_child(0, cgroup, &between_pidfd);
  if (between == 0) {
    int entered = sys_setns(program->container_pidfd, flags) < 0 ? -errno : 0;
    error = clone_inside(program, entered, 0, child_end);
    return error < 0 ? error : enter_container(program);
  }
  error = -errno;
  close(child_end);
  if (between < 0) return error;
  close(between_pidfd);
  return take_child(program, between);
}

static int wait_to_be_killed(void *parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  while (getppid() == *(const pid_t *)parent) pause();
  return 0;
}

static int write_map(pid_t pid, const char *file, const char *map) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
  OWNED_FD fd = open(path, O_WRONLY | O_CLOEXEC);
  size_t length = strlen(map);
  if (fd < 0) return -errno;
  ssize_t written = write(fd, map, length);
  if (written < 0) return -errno;
  return (size_t)written == length ? 0 : -EIO;
}

static int map_and_open(pid_t pid, const char *uid_map, const char *gid_map) {
  char path[64];
  int error = write_map(pid, "uid_map", uid_map);
  if (error == 0) error = write_map(pid, "gid_map", gid_map);
  if (error < 0) return error;
  snprintf(path, sizeof path, "/proc/%d/ns/user", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

/* A user namespace begins with a process. This one shares our memory, so making it copies nothing. */
int op_user_namespace(struct program *program, struct wire_reader *payload) {
  uint32_t slot = wire_u32(payload);
  const char *uid_map = wire_string(payload);
  const char *gid_map = wire_string(payload);
  _Alignas(16) char stack[4096];
  pid_t self = getpid();
  pid_t pid = clone(wait_to_be_killed, stack + sizeof stack, CLONE_VM | CLONE_NEWUSER | SIGCHLD, &self);
  if (pid < 0) return program_fails(program, -errno, "user namespace");
  int fd = map_and_open(pid, uid_map, gid_map);
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  return fd < 0 ? program_fails(program, fd, "user namespace") : program_fill_slot(program, slot, fd);
}

int op_unshare(struct program *program, struct wire_reader *payload) {
  uint64_t flags = wire_u64(payload);
  if ((flags & ~NAMESPACE_FLAGS) != 0) return program_fails(program, -EINVAL, "namespaces");
  return sys_unshare(flags) < 0 ? program_fails(program, -errno, "namespaces") : 0;
}
