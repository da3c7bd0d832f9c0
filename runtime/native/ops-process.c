/* What the payload may do: ids, capabilities, limits, seccomp. Carried out by the init on itself. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel.h"
#include "cleanup.h"
#include "in-root.h"
#include "kernel-abi.h"
#include "process.h"
#include "program.h"

#define GROUPS_MAX 256
#define TERMINAL_MAJOR_FIRST 136
#define TERMINAL_MAJOR_LAST 143

int op_hostname(struct program *program, struct wire_reader *payload) {
  const char *host = wire_string(payload);
  const char *domain = wire_string(payload);
  if (*host != '\0' && sethostname(host, strlen(host)) < 0) return program_fails(program, -errno, host);
  if (*domain != '\0' && setdomainname(domain, strlen(domain)) < 0) return program_fails(program, -errno, domain);
  return 0;
}

int op_rlimit(struct program *program, struct wire_reader *payload) {
  uint32_t resource = wire_u32(payload);
  struct rlimit limit;
  char name[32];
  limit.rlim_cur = wire_u64(payload);
  limit.rlim_max = wire_u64(payload);
  snprintf(name, sizeof name, "resource limit %u", resource);
  if (setrlimit((__rlimit_resource_t)resource, &limit) == 0) return 0;
  return program_fails(program, -errno, name);
}

int op_keyring(struct program *program, struct wire_reader *payload) {
  (void)payload;
  if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) >= 0) return 0;
  return program_fails(program, -errno, "session keyring");
}

/* Set right before exec only: until then modes are meant as they are written. */
int op_umask(struct program *program, struct wire_reader *payload) {
  program->umask = wire_u32(payload) & 0777;
  return 0;
}

/* Pipes and the terminal follow the payload's user: it may open them again by name. */
static void give_own_stdio(uid_t uid, gid_t gid) {
  for (int fd = 0; fd < 3; fd++) {
    struct stat status;
    if (fstat(fd, &status) < 0) continue;
    unsigned major_number = (unsigned)(status.st_rdev >> 8) & 0xfff;
    bool is_terminal = S_ISCHR(status.st_mode) && major_number >= TERMINAL_MAJOR_FIRST &&
                       major_number <= TERMINAL_MAJOR_LAST;
    if (!S_ISFIFO(status.st_mode) && !is_terminal) continue;
    if (fchown(fd, uid, is_terminal ? (gid_t)-1 : gid) < 0) continue;
  }
}

/* Permitted capabilities survive the change of ids and are made effective again: CAPABILITIES decides later. */
int op_ids(struct program *program, struct wire_reader *payload) {
  uid_t uid = wire_u32(payload);
  gid_t gid = wire_u32(payload);
  uint32_t count = wire_u32(payload);
  gid_t groups[GROUPS_MAX];
  char name[48];
  snprintf(name, sizeof name, "%u:%u", uid, gid);
  if (count > GROUPS_MAX) return program_fails(program, -EINVAL, "supplementary groups");
  if (uid == (uid_t)-1 || gid == (gid_t)-1) return program_fails(program, -EINVAL, name);
  for (uint32_t i = 0; i < count; i++) groups[i] = wire_u32(payload);
  give_own_stdio(uid, gid);
  if (setgroups(count, groups) < 0) return program_fails(program, -errno, "supplementary groups");
  if (prctl(PR_SET_KEEPCAPS, 1) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
    return program_fails(program, -errno, name);
  }
  prctl(PR_SET_KEEPCAPS, 0);
  prctl(PR_SET_DUMPABLE, 0);
  return process_raise_permitted();
}

int op_capabilities(struct program *program, struct wire_reader *payload) {
  struct capability_sets sets = {.bounding = wire_u64(payload)};
  sets.permitted = wire_u64(payload);
  sets.effective = wire_u64(payload);
  sets.inheritable = wire_u64(payload);
  sets.ambient = wire_u64(payload);
  int error = process_set_capabilities(&sets);
  return error < 0 ? program_fails(program, error, "capabilities") : 0;
}

int op_no_new_privs(struct program *program, struct wire_reader *payload) {
  (void)payload;
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? program_fails(program, -errno, "no_new_privs") : 0;
}

int process_seal_descriptors(struct program *program) {
  if (program->descriptors_sealed) return 0;
  unsigned first = 3 + (unsigned)program->preserved;
  if (sys_close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) < 0) return program_fails(program, -errno, "descriptors");
  for (int fd = 3; fd < (int)first; fd++) fcntl(fd, F_SETFD, 0);
  program->descriptors_sealed = true;
  return 0;
}

/* Who reads it is the agent alone: with a copy here, a call would wait for ever when that has gone. */
static int give_listener(struct program *program, int listener) {
  if (program->answers_asker) return -EPROTO;
  int error = channel_offer_listener(program->channel, listener);
  close(listener);
  return error;
}

/* The filter may forbid close_range, so descriptors are sealed before it is loaded. */
int op_seccomp(struct program *program, struct wire_reader *payload) {
  uint32_t flags = wire_u32(payload);
  uint32_t length;
  const uint8_t *bytes = wire_bytes(payload, &length);
  struct sock_fprog filter = {.len = (unsigned short)(length / sizeof(struct sock_filter)),
                              .filter = (struct sock_filter *)(uintptr_t)bytes};
  if (length % sizeof(struct sock_filter) != 0 || length / sizeof(struct sock_filter) > BPF_MAXINSNS) {
    return program_fails(program, -EINVAL, "seccomp filter");
  }
  int error = process_seal_descriptors(program);
  if (error < 0) return error;
  int made = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter);
  if (made < 0) return program_fails(program, -errno, "seccomp filter");
  if ((flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) == 0) return 0;
  error = give_listener(program, made);
  return error < 0 ? program_fails(program, error, "listener of the seccomp filter") : 0;
}

/* A directory outside the root has no path: the kernel then puts "(unreachable)" in front. */
int op_chdir(struct program *program, struct wire_reader *payload) {
  bool create = wire_u32(payload) != 0;
  const char *path = wire_string(payload);
  char reached[4096];
  OWNED_FD directory = create ? in_root_open_or_make(program->root_fd, path, IN_ROOT_DIRECTORY, 0755)
                              : in_root_open(program->root_fd, path);
  if (directory < 0) return program_fails(program, directory, path);
  if (fchdir(directory) < 0) return program_fails(program, -errno, path);
  if (syscall(SYS_getcwd, reached, sizeof reached) < 0) return program_fails(program, -errno, path);
  if (reached[0] != '/') {
    program_detail(program, "it lies outside the container's root");
    return program_fails(program, -EXDEV, path);
  }
  return 0;
}
