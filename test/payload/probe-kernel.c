/* Tries what a contained process must not be able to do, and prints how the kernel answered.
 *
 *     probe-kernel try NAME...     one line per name: "NAME ok" or "NAME ERRNO"
 *     probe-kernel all             every name it knows
 *
 * Each try runs in a child of its own, so that one that succeeds does not change the next; a child
 * that is killed prints "NAME signal N". Calls that would change the machine are given arguments
 * which the kernel refuses only after it has checked the rights: such a refusal is "ok" too,
 * so the program is safe to run as root. Exit status 0 when all could be tried, 2 for a name
 * that does not exist.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

struct try {
  const char *name;
  long (*run)(void);
};

/* The rights sufficed: only the arguments were wrong. */
static long permitted(long result) {
  return result < 0 && errno != EPERM && errno != EACCES && errno != ENOSYS ? 0 : result;
}

static long try_mount(void) {
  return permitted(mount(NULL, "/", NULL, MS_SHARED | MS_PRIVATE, NULL));
}

static long try_umount(void) {
  return permitted(umount2("/proc/self", 0)); /* no mount point */
}

static long try_fsopen(void) {
  return syscall(SYS_fsopen, "tmpfs", 0);
}

static long try_open_tree(void) {
  return syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */);
}

static long try_mount_setattr(void) {
  uint64_t attributes[4] = {UINT64_MAX};
  return permitted(syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, attributes, sizeof attributes));
}

static long try_pivot_root(void) {
  return permitted(syscall(SYS_pivot_root, "/", "/"));
}

static long try_chroot(void) {
  return chroot("/");
}

static long try_unshare_user(void) {
  return unshare(CLONE_NEWUSER);
}

static long try_unshare_mount(void) {
  return unshare(CLONE_NEWNS);
}

static long try_unshare_net(void) {
  return unshare(CLONE_NEWNET);
}

static long try_unshare_pid(void) {
  return unshare(CLONE_NEWPID);
}

static long try_setns(void) {
  int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  return fd < 0 ? -1 : setns(fd, 0);
}

static long try_clone_user(void) {
  return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
}

static long try_clone3(void) {
  struct clone_args arguments = {.exit_signal = SIGCHLD};
  long child = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) _exit(0);
  return child;
}

static long make_node(mode_t type, unsigned int major_number, unsigned int minor_number) {
  static const char *const places[] = {"/tmp/probe-node", "/dev/probe-node", "/probe-node"};
  long result = -1;
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    result = mknod(places[i], type | 0600, makedev(major_number, minor_number));
    int saved = errno;
    if (result == 0) unlink(places[i]);
    errno = saved;
    if (result == 0 || (errno != ENOENT && errno != EROFS)) break;
  }
  return result;
}

static long try_mknod(void) {
  return make_node(S_IFCHR, 1, 3);
}

static long try_mknod_mem(void) {
  return make_node(S_IFCHR, 1, 1);
}

static long try_mknod_disk(void) {
  return make_node(S_IFBLK, 254, 0);
}

static long try_ptrace(void) {
  return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);
}

static long try_process_vm_readv(void) {
  return permitted(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static long try_pidfd_getfd(void) {
  long fd = syscall(SYS_pidfd_open, getppid(), 0);
  return fd < 0 ? -1 : syscall(SYS_pidfd_getfd, fd, 0, 0);
}

static long try_kcmp(void) {
  return syscall(SYS_kcmp, getpid(), getppid(), 0, 0, 0);
}

static long try_keyctl(void) {
  return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
}

static long try_add_key(void) {
  return syscall(SYS_add_key, "user", "probe", "x", 1, KEY_SPEC_PROCESS_KEYRING);
}

static long try_bpf(void) {
  union bpf_attr attributes = {0};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = attributes.value_size = 4;
  attributes.max_entries = 1;
  return syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
}

static long try_perf_event_open(void) {
  uint32_t attributes[32] = {1, sizeof attributes};
  return syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0);
}

static long try_userfaultfd(void) {
  return syscall(SYS_userfaultfd, O_CLOEXEC);
}

static long try_io_uring_setup(void) {
  uint32_t parameters[30] = {0};
  return syscall(SYS_io_uring_setup, 1, parameters);
}

static long try_open_by_handle_at(void) {
  struct file_handle handle = {0};
  return permitted(open_by_handle_at(AT_FDCWD, &handle, O_RDONLY));
}

static long try_init_module(void) {
  return permitted(syscall(SYS_init_module, NULL, 0, ""));
}

static long try_kexec_load(void) {
  return permitted(syscall(SYS_kexec_load, 0, 0, NULL, 0xffffffffu)); /* no such flags */
}

static long try_reboot(void) {
  return permitted(syscall(SYS_reboot, 0, 0, 0, NULL)); /* wrong magic numbers */
}

static long try_syslog(void) {
  char text[64];
  return klogctl(3, text, sizeof text);
}

static long try_settime(void) {
  struct timex change = {.modes = ADJ_TICK}; /* a tick of 0 is out of range */
  return permitted(adjtimex(&change));
}

static long try_sethostname(void) {
  char name[65];
  return gethostname(name, sizeof name) < 0 ? -1 : sethostname(name, strlen(name));
}

static long try_swapon(void) {
  return permitted(swapon("/nonexistent", 0));
}

static long try_acct(void) {
  return permitted(acct("/nonexistent"));
}

static long try_personality(void) {
  return personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC);
}

static long try_setuid(void) {
  return setuid(12345);
}

static long try_nice_up(void) {
  return setpriority(PRIO_PROCESS, 0, -10);
}

static long open_socket(int family, int type, int protocol) {
  return socket(family, type | SOCK_CLOEXEC, protocol);
}

static long try_socket_alg(void) {
  return open_socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static long try_socket_packet(void) {
  return open_socket(AF_PACKET, SOCK_RAW, 0);
}

static long try_socket_raw(void) {
  return open_socket(AF_INET, SOCK_RAW, 1);
}

static long try_socket_netlink(void) {
  return open_socket(AF_NETLINK, SOCK_RAW, 0);
}

static long try_socket_vsock(void) {
  return open_socket(AF_VSOCK, SOCK_STREAM, 0);
}

static long try_socket_rxrpc(void) {
  return open_socket(AF_RXRPC, SOCK_DGRAM, AF_INET);
}

static long try_socket_key(void) {
  return open_socket(AF_KEY, SOCK_RAW, 2);
}

static long try_unknown(void) {
  return syscall(4000);
}

static const struct try tries[] = {
    {"mount", try_mount},
    {"umount", try_umount},
    {"fsopen", try_fsopen},
    {"open-tree", try_open_tree},
    {"mount-setattr", try_mount_setattr},
    {"pivot-root", try_pivot_root},
    {"chroot", try_chroot},
    {"unshare-user", try_unshare_user},
    {"unshare-mount", try_unshare_mount},
    {"unshare-net", try_unshare_net},
    {"unshare-pid", try_unshare_pid},
    {"setns", try_setns},
    {"clone-user", try_clone_user},
    {"clone3", try_clone3},
    {"mknod", try_mknod},
    {"mknod-mem", try_mknod_mem},
    {"mknod-disk", try_mknod_disk},
    {"ptrace", try_ptrace},
    {"process-vm-readv", try_process_vm_readv},
    {"pidfd-getfd", try_pidfd_getfd},
    {"kcmp", try_kcmp},
    {"keyctl", try_keyctl},
    {"add-key", try_add_key},
    {"bpf", try_bpf},
    {"perf-event-open", try_perf_event_open},
    {"userfaultfd", try_userfaultfd},
    {"io-uring-setup", try_io_uring_setup},
    {"open-by-handle-at", try_open_by_handle_at},
    {"init-module", try_init_module},
    {"kexec-load", try_kexec_load},
    {"reboot", try_reboot},
    {"syslog", try_syslog},
    {"settime", try_settime},
    {"sethostname", try_sethostname},
    {"swapon", try_swapon},
    {"acct", try_acct},
    {"personality", try_personality},
    {"setuid", try_setuid},
    {"nice-up", try_nice_up},
    {"socket-alg", try_socket_alg},
    {"socket-packet", try_socket_packet},
    {"socket-raw", try_socket_raw},
    {"socket-netlink", try_socket_netlink},
    {"socket-vsock", try_socket_vsock},
    {"socket-rxrpc", try_socket_rxrpc},
    {"socket-key", try_socket_key},
    {"unknown", try_unknown},
};

static void attempt(const struct try *try) {
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) {
    printf("%s fork %s\n", try->name, strerrorname_np(errno));
    return;
  }
  if (child == 0) {
    pid_t self = getpid();
    long result = try->run();
    if (getpid() != self) _exit(0); /* the child of a clone that worked */
    const char *name = result < 0 ? strerrorname_np(errno) : "ok";
    dprintf(STDOUT_FILENO, "%s %s\n", try->name, name ? name : "unknown errno");
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) printf("%s signal %d\n", try->name, WTERMSIG(status));
}

static const struct try *find(const char *name) {
  for (size_t i = 0; i < sizeof tries / sizeof *tries; i++)
    if (strcmp(tries[i].name, name) == 0) return &tries[i];
  return NULL;
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "all") == 0) {
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) attempt(&tries[i]);
    return 0;
  }
  if (argc < 3 || strcmp(argv[1], "try") != 0) {
    fprintf(stderr, "usage: probe-kernel all | try NAME...\n");
    return 2;
  }
  for (int i = 2; i < argc; i++) {
    const struct try *try = find(argv[i]);
    if (!try) {
      fprintf(stderr, "probe-kernel: %s is not known\n", argv[i]);
      return 2;
    }
    attempt(try);
  }
  return 0;
}
