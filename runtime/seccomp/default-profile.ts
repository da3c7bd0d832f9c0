/**
 * The profile of a container that names none. Allowed is what unmodified images were seen to need; calls that are known
 * to reach further into the kernel are refused with EPERM; all others, also those that Linux has yet to invent, do not
 * exist (ENOSYS), so that programs use what they used before. Never laxer than moby's profile for the same
 * capabilities.
 */
import { constants } from "node:os";
import { SeccompProfile, type SeccompProfileInput } from "./profile.ts";

type RuleInput = NonNullable<SeccompProfileInput["syscalls"]>[number];
type ConditionInput = NonNullable<RuleInput["args"]>[number];

const { EPERM, ENOSYS, EINVAL, EAFNOSUPPORT, EPROTONOSUPPORT } = constants.errno;

const files = `
  access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
  fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync flock fstat fstatfs fsync ftruncate
  futimesat getcwd getdents getdents64 lchown link linkat listmount lseek lstat mkdir mkdirat mknod mknodat
  name_to_handle_at newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read
  readahead readlink readlinkat readv rename renameat renameat2 rmdir sendfile splice stat statfs statmount statx
  symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes write writev
  fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr
  lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat
  fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch
  landlock_add_rule landlock_create_ruleset landlock_restrict_self`;

const waiting = `
  epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
  eventfd2 futex futex_requeue futex_wait futex_waitv futex_wake get_robust_list set_robust_list poll ppoll pselect6
  select io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit`;

const memory = `
  brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap
  mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages`;

const processes = `
  capget capset execve execveat exit exit_group fork getcpu getegid geteuid getgid getgroups getpgid getpgrp getpid
  getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill
  pause pidfd_open pidfd_send_signal prctl prlimit64 process_mrelease restart_syscall rseq sched_get_priority_max
  sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
  sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_tid_address setfsgid
  setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid
  rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
  rt_tgsigqueueinfo sigaltstack signalfd signalfd4 sysinfo tgkill tkill uname vfork wait4 waitid getrandom`;

const time = `
  adjtimex alarm clock_adjtime clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer
  time timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime
  timerfd_settime times`;

const messages = `
  accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg
  sendto setsockopt shutdown
  mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd semctl semget
  semop semtimedop shmat shmctl shmdt shmget`;

/** Refused whatever the container holds: other processes' or the whole machine's state, and rich sources of exploits. */
const closed = `
  add_key request_key keyctl userfaultfd vmsplice io_uring_setup io_uring_enter io_uring_register move_pages
  migrate_pages kexec_load kexec_file_load swapon swapoff pivot_root uselib ustat sysfs _sysctl open_tree_attr`;

/** Capability -> calls that are of use with it only. A call that stands twice needs one of the two. */
const privileged: Readonly<Record<string, string>> = {
  CAP_SYS_ADMIN: `
    bpf fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
    lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
    sethostname setns syslog umount2 unshare`,
  CAP_BPF: "bpf",
  CAP_PERFMON: "perf_event_open",
  CAP_SYSLOG: "syslog",
  CAP_DAC_READ_SEARCH: "open_by_handle_at",
  CAP_SYS_BOOT: "reboot",
  CAP_SYS_CHROOT: "chroot",
  CAP_SYS_MODULE: "delete_module finit_module init_module",
  CAP_SYS_NICE: "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
  CAP_SYS_PACCT: "acct",
  CAP_SYS_PTRACE: "kcmp pidfd_getfd process_madvise",
  CAP_SYS_RAWIO: "ioperm iopl",
  CAP_SYS_TIME: "clock_settime settimeofday",
  CAP_SYS_TTY_CONFIG: "vhangup",
};

// The kernel reads these arguments as 32-bit integers: what stands in the upper half of the register must not count,
// or a request with rubbish there would slip past a comparison of all 64 bits.
const int32Mask = 0xffffffff;

// linux/socket.h, linux/netlink.h
const family = { unix: 1, inet: 2, inet6: 10, netlink: 16, packet: 17 } as const;
const netlink = {
  route: 0,
  sockDiag: 4,
  xfrm: 6,
  audit: 9,
  netfilter: 12,
  uevent: 15,
  generic: 16,
} as const;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET; clone(2) has no NEWTIME. */
const cloneNamespaces = 0x7e020000;

/** PER_LINUX, PER_LINUX32, either with UNAME26, and the query. */
const personalities = [0, 0x8, 0x20000, 0x20008, 0xffffffff];

/** Pushing characters into a terminal's input, and the same through the console's selection (asm/ioctls.h). */
const terminalInjection = { TIOCSTI: 0x5412, TIOCLINUX: 0x541c } as const;

export const defaultSeccompProfile: SeccompProfile = SeccompProfile.parse({
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: ENOSYS,
  archMap: [
    { architecture: "SCMP_ARCH_X86_64", subArchitectures: [] },
    { architecture: "SCMP_ARCH_AARCH64", subArchitectures: [] },
  ],
  syscalls: [
    allow([files, waiting, memory, processes, time, messages].join(" ")),
    // Before 4.8 a tracer could change a call after the filter had seen it.
    { ...allow("ptrace process_vm_readv process_vm_writev"), includes: { minKernel: "4.8" } },
    { ...allow("arch_prctl modify_ldt uretprobe uprobe"), includes: { arches: ["amd64"] } },
    ...privilegedRules(),
    ...cloneRules(),
    ...socketRules(),
    ...personalities.map((value) => allow("personality", equals32(0, value))),
    ...Object.values(terminalInjection).map((request) =>
      refuse("ioctl", EPERM, equals32(1, request)),
    ),
    allow("ioctl"),
    refuse(`${closed} personality`, EPERM),
  ],
} satisfies SeccompProfileInput);

function allow(names: string, ...args: ConditionInput[]): RuleInput {
  return { names: names.trim().split(/\s+/), action: "SCMP_ACT_ALLOW", args };
}

function refuse(names: string, errnoRet: number, ...args: ConditionInput[]): RuleInput {
  return { names: names.trim().split(/\s+/), action: "SCMP_ACT_ERRNO", errnoRet, args };
}

function equals32(index: number, value: number): ConditionInput {
  return { index, op: "SCMP_CMP_MASKED_EQ", value: int32Mask, valueTwo: value };
}

function privilegedRules(): readonly RuleInput[] {
  const rules = Object.entries(privileged).map(([capability, names]) => ({
    ...allow(names),
    includes: { caps: [capability] },
  }));
  return [...rules, refuse(Object.values(privileged).join(" "), EPERM)];
}

/** clone3 passes its flags in memory, where no filter can look: libc falls back to clone when it is absent. */
function cloneRules(): readonly RuleInput[] {
  const noNamespace: ConditionInput = {
    index: 0,
    op: "SCMP_CMP_MASKED_EQ",
    value: cloneNamespaces,
    valueTwo: 0,
  };
  return [
    { ...allow("clone clone3"), includes: { caps: ["CAP_SYS_ADMIN"] } },
    allow("clone", noNamespace),
    refuse("clone", EPERM),
    refuse("clone3", ENOSYS),
  ];
}

function socketRules(): readonly RuleInput[] {
  const both = "socket socketpair";
  const ofNetlink = (protocol: number): ConditionInput[] => [
    equals32(0, family.netlink),
    equals32(2, protocol),
  ];
  const netAdmin = { includes: { caps: ["CAP_NET_ADMIN"] } };
  return [
    ...[family.unix, family.inet, family.inet6].map((value) => allow(both, equals32(0, value))),
    ...[netlink.route, netlink.sockDiag, netlink.uevent, netlink.generic].map((protocol) =>
      allow(both, ...ofNetlink(protocol)),
    ),
    ...[netlink.xfrm, netlink.netfilter].map((protocol) => ({
      ...allow(both, ...ofNetlink(protocol)),
      ...netAdmin,
    })),
    { ...allow(both, ...ofNetlink(netlink.audit)), includes: { caps: ["CAP_AUDIT_WRITE"] } },
    // sshd, su and PAM take EINVAL for a kernel without audit and go on; EPERM ends them.
    refuse(both, EINVAL, ...ofNetlink(netlink.audit)),
    refuse(both, EPROTONOSUPPORT, equals32(0, family.netlink)),
    { ...allow(both, equals32(0, family.packet)), includes: { caps: ["CAP_NET_RAW"] } },
    refuse(both, EAFNOSUPPORT),
  ];
}
