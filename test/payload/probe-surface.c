/* Lists what a contained process can see and do, one stable `name value` line each, sorted by nothing but its order here.
 *
 *     probe-surface look     what it has and sees: ids, capabilities, namespaces, mounts, nodes, files
 *     probe-surface calls    how every system call answers when all its arguments are wrong
 *
 * A file counts as visible when a byte of it can be read, a directory when it holds a name; writable is what open(2) lets
 * be opened for writing, and nothing is ever written. `calls` refuses to run in the host's first pid namespace: there a
 * call without arguments, such as vhangup(2), would act. Exit status 0, 2 for wrong usage.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST_PID_NAMESPACE 4026531836u /* PROC_PID_INIT_INO of the kernel */
#define CALLS_MAX 475
#define DEPTH_MAX 12

static const char *errno_text(int error) {
  const char *name = strerrorname_np(error);
  return name == NULL ? "E?" : name;
}

/* In a child: what succeeds must not change what comes next. Prints `name ok`, `name ERRNO` or `name signal-N`. */
static void attempt(const char *name, long (*act)(long), long argument) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    pid_t self = getpid();
    alarm(2);
    long result = act(argument);
    int saved = errno;
    if (getpid() != self) _exit(0); /* the child of a clone that worked */
    dprintf(STDOUT_FILENO, "%s %s\n", name, result < 0 ? errno_text(saved) : "ok");
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) printf("%s signal-%d\n", name, WTERMSIG(status));
}

/* Lines of /proc/self/status that say what the process holds. */
static void look_at_status(void) {
  static const char *const wanted[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Groups"};
  char line[512];
  FILE *status = fopen("/proc/self/status", "re");
  if (status == NULL) return;
  while (fgets(line, sizeof line, status) != NULL) {
    char *value = strchr(line, ':');
    if (value == NULL) continue;
    *value++ = '\0';
    value += strspn(value, " \t");
    value[strcspn(value, "\n")] = '\0';
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
      if (strcmp(line, wanted[i]) == 0) printf("status.%s %s\n", line, *value == '\0' ? "-" : value);
    }
  }
  fclose(status);
}

static void look_at_namespaces(void) {
  static const char *const names[] = {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[64];
    struct stat found;
    snprintf(path, sizeof path, "/proc/self/ns/%s", names[i]);
    if (stat(path, &found) == 0) printf("namespace.%s %lu\n", names[i], (unsigned long)found.st_ino);
  }
}

static void look_at_ids(void) {
  unsigned int inside = 0;
  unsigned int outside = 0;
  unsigned int count = 0;
  FILE *map = fopen("/proc/self/uid_map", "re");
  if (map != NULL && fscanf(map, "%u %u %u", &inside, &outside, &count) == 3) printf("ids.root %u\nids.count %u\n", outside, count);
  if (map != NULL) fclose(map);
  struct rlimit core;
  if (getrlimit(RLIMIT_CORE, &core) == 0) printf("limit.core %s\n", core.rlim_max == 0 ? "off" : "on");
}

/* Mount points with the attributes that restrict them, and whether a path of the host shows in the source's root. */
static void look_at_mounts(void) {
  char line[4096];
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  if (mounts == NULL) return;
  while (fgets(line, sizeof line, mounts) != NULL) {
    char point[1024];
    char options[1024];
    char type[256];
    if (sscanf(line, "%*d %*d %*s %*s %1023s %1023s", point, options) != 2) continue;
    char *separator = strstr(line, " - ");
    if (separator == NULL || sscanf(separator, " - %255s", type) != 1) continue;
    printf("mount.%s %s:%s%s%s%s\n", point, type, strncmp(options, "ro", 2) == 0 ? "ro" : "rw",
           strstr(options, "nosuid") != NULL ? ",nosuid" : "", strstr(options, "nodev") != NULL ? ",nodev" : "",
           strstr(options, "noexec") != NULL ? ",noexec" : "");
  }
  fclose(mounts);
}

static const char *visibility(const char *path) {
  struct stat found;
  char byte;
  if (stat(path, &found) < 0) return "hidden";
  if (S_ISDIR(found.st_mode)) {
    DIR *directory = opendir(path);
    int names = 0;
    while (directory != NULL && readdir(directory) != NULL) names++;
    if (directory != NULL) closedir(directory);
    return names > 2 ? "visible" : "hidden";
  }
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return "hidden";
  ssize_t got = read(fd, &byte, 1);
  close(fd);
  return got == 1 ? "visible" : "hidden";
}

/* What tells about the host, its kernel or its other inhabitants. */
static void look_at_side_channels(void) {
  static const char *const paths[] = {
      "/proc/acpi", "/proc/asound", "/proc/bus/pci/devices", "/proc/config.gz", "/proc/driver", "/proc/interrupts", "/proc/iomem",
      "/proc/ioports", "/proc/kallsyms", "/proc/kcore", "/proc/key-users", "/proc/keys", "/proc/kmsg", "/proc/kpagecount",
      "/proc/kpageflags", "/proc/kpagecgroup", "/proc/latency_stats", "/proc/lockdep", "/proc/lock_stat", "/proc/modules",
      "/proc/pagetypeinfo", "/proc/sched_debug", "/proc/schedstat", "/proc/scsi", "/proc/slabinfo", "/proc/softirqs",
      "/proc/sys/kernel/random/entropy_avail", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/timer_stats", "/proc/vmallocinfo",
      "/proc/1/mem", "/proc/1/environ", "/proc/1/root/etc/shadow",
      "/sys/class/dmi/id/product_uuid", "/sys/dev/block", "/sys/devices/system/cpu/cpu0/thermal_throttle",
      "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/bpf", "/sys/fs/pstore", "/sys/fs/selinux", "/sys/kernel/debug",
      "/sys/kernel/notes", "/sys/kernel/security", "/sys/kernel/tracing", "/dev/mem", "/dev/kmsg", "/dev/port", "/dev/fuse",
      "/dev/kvm", "/dev/net/tun", "/dev/vhost-net", "/dev/loop-control", "/dev/mapper", "/dev/dri", "/dev/snd", "/dev/vda"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) printf("sees.%s %s\n", paths[i], visibility(paths[i]));
}

/* Every node below a directory of devices. */
static void list_nodes(const char *path, int depth) {
  DIR *directory = opendir(path);
  struct dirent *entry;
  while (directory != NULL && depth < DEPTH_MAX && (entry = readdir(directory)) != NULL) {
    char name[PATH_MAX];
    struct stat found;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
    if (lstat(name, &found) < 0) continue;
    if (S_ISDIR(found.st_mode)) list_nodes(name, depth + 1);
    if (!S_ISCHR(found.st_mode) && !S_ISBLK(found.st_mode)) continue;
    printf("node.%s %c%u:%u\n", name, S_ISCHR(found.st_mode) ? 'c' : 'b', major(found.st_rdev), minor(found.st_rdev));
  }
  if (directory != NULL) closedir(directory);
}

/* Files and directories that the access rights and mounts let be changed. Processes are left out: they are one's own. */
static void list_writable(const char *path, int depth) {
  DIR *directory = opendir(path);
  struct dirent *entry;
  while (directory != NULL && depth < DEPTH_MAX && (entry = readdir(directory)) != NULL) {
    char name[PATH_MAX];
    struct stat found;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (depth == 0 && strspn(entry->d_name, "0123456789") == strlen(entry->d_name)) continue;
    snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
    if (lstat(name, &found) < 0) continue;
    if (S_ISDIR(found.st_mode)) {
      if (access(name, W_OK) == 0) printf("writable.%s directory\n", name);
      list_writable(name, depth + 1);
    }
    if (!S_ISREG(found.st_mode)) continue;
    int fd = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) continue;
    printf("writable.%s file\n", name);
    close(fd);
  }
  if (directory != NULL) closedir(directory);
}

static long open_family(long family) {
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW};
  int first = 0;
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (family == AF_INET && types[i] == SOCK_RAW) continue; /* told apart below */
    if (socket((int)family, types[i] | SOCK_CLOEXEC, 0) >= 0) return 0;
    if (first == 0) first = errno;
  }
  errno = first;
  return -1;
}

static long open_raw(long protocol) {
  return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, (int)protocol);
}

static long open_netlink(long protocol) {
  return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, (int)protocol);
}

static void try_sockets(void) {
  char name[64];
  for (long family = 1; family < 46; family++) {
    snprintf(name, sizeof name, "socket.%ld", family);
    attempt(name, open_family, family);
  }
  attempt("socket.raw", open_raw, IPPROTO_RAW);
  attempt("socket.icmp", open_raw, IPPROTO_ICMP);
  for (long protocol = 0; protocol < 23; protocol++) {
    snprintf(name, sizeof name, "netlink.%ld", protocol);
    attempt(name, open_netlink, protocol);
  }
}

static long try_unshare(long flags) {
  return unshare((int)flags);
}

static long try_clone(long flags) {
  return syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
}

static void try_namespaces(void) {
  static const struct {
    const char *name;
    long flag;
  } kinds[] = {{"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC}, {"mount", CLONE_NEWNS},  {"net", CLONE_NEWNET},
               {"pid", CLONE_NEWPID},       {"time", 0x80},        {"user", CLONE_NEWUSER}, {"uts", CLONE_NEWUTS}};
  char name[64];
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    snprintf(name, sizeof name, "unshare.%s", kinds[i].name);
    attempt(name, try_unshare, kinds[i].flag);
    snprintf(name, sizeof name, "clone.%s", kinds[i].name);
    if (kinds[i].flag != 0x80) attempt(name, try_clone, kinds[i].flag);
  }
}

struct device {
  mode_t type;
  unsigned int major_number;
  unsigned int minor_number;
};

static const struct device devices[] = {
    {S_IFCHR, 1, 1},  {S_IFCHR, 1, 2},    {S_IFCHR, 1, 4},    {S_IFCHR, 1, 11},   {S_IFCHR, 4, 0},    {S_IFCHR, 4, 64},
    {S_IFCHR, 5, 1},  {S_IFCHR, 10, 183}, {S_IFCHR, 10, 200}, {S_IFCHR, 10, 229}, {S_IFCHR, 10, 232}, {S_IFCHR, 10, 237},
    {S_IFBLK, 7, 0},  {S_IFBLK, 8, 0},    {S_IFBLK, 253, 0},  {S_IFBLK, 254, 0},  {S_IFBLK, 259, 0},  {S_IFCHR, 29, 0},
    {S_IFCHR, 13, 0}, {S_IFCHR, 226, 0}};

static long make_device(long index) {
  const struct device *device = &devices[index];
  char path[64];
  snprintf(path, sizeof path, "/tmp/surface-%ld", index);
  if (mknod(path, device->type | 0600, makedev(device->major_number, device->minor_number)) < 0) return -1;
  return 0;
}

/* What make_device left, where that was possible. */
static long open_device(long index) {
  char path[64];
  snprintf(path, sizeof path, "/tmp/surface-%ld", index);
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  int saved = errno;
  unlink(path);
  errno = saved;
  return fd;
}

static void try_devices(void) {
  char name[64];
  for (long i = 0; i < (long)(sizeof devices / sizeof *devices); i++) {
    char kind = devices[i].type == S_IFCHR ? 'c' : 'b';
    snprintf(name, sizeof name, "mknod.%c%u:%u", kind, devices[i].major_number, devices[i].minor_number);
    attempt(name, make_device, i);
    snprintf(name, sizeof name, "opens.%c%u:%u", kind, devices[i].major_number, devices[i].minor_number);
    attempt(name, open_device, i);
  }
}

static long lower_oom_score(long score) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  return fd < 0 ? -1 : dprintf(fd, "%ld", score);
}

/* A cgroup of one's own would be the first half of release_agent. */
static void try_cgroups(void) {
  DIR *directory = opendir("/sys/fs/cgroup");
  struct dirent *entry;
  int made = 0;
  while (directory != NULL && (entry = readdir(directory)) != NULL) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s/surface-probe", strcmp(entry->d_name, "..") == 0 ? "." : entry->d_name);
    if (mkdir(path, 0700) < 0) continue;
    rmdir(path);
    made++;
  }
  if (directory != NULL) closedir(directory);
  printf("cgroup.mkdir %s\n", made > 0 ? "ok" : "no");
  char line[4096];
  int outside = 0;
  FILE *own = fopen("/proc/self/cgroup", "re");
  while (own != NULL && fgets(line, sizeof line, own) != NULL) {
    char *path = strrchr(line, ':');
    if (path != NULL && strcmp(path, ":/\n") != 0) outside++;
  }
  if (own != NULL) fclose(own);
  printf("cgroup.path %s\n", outside > 0 ? "host" : "own");
}

static int look(void) {
  look_at_status();
  look_at_namespaces();
  look_at_ids();
  look_at_mounts();
  look_at_side_channels();
  list_nodes("/dev", 0);
  list_writable("/proc", 0);
  list_writable("/sys", 0);
  try_cgroups();
  try_sockets();
  try_namespaces();
  try_devices();
  attempt("oom.lower", lower_oom_score, -1000);
  return 0;
}

static long call_wrongly(long number) {
  return syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
}

/* Calls that end or suspend the caller whatever they are given, and tell nothing. */
static int is_pointless(long number) {
  return number == SYS_exit || number == SYS_exit_group || number == SYS_pause || number == SYS_rt_sigreturn ||
         number == SYS_vfork || number == SYS_fork;
}

static int sweep_calls(void) {
  struct stat own;
  if (stat("/proc/self/ns/pid", &own) < 0 || own.st_ino == FIRST_PID_NAMESPACE) {
    fprintf(stderr, "probe-surface: calls are only made in a container\n");
    return 2;
  }
  for (long number = 0; number < CALLS_MAX; number++) {
    char name[64];
    if (is_pointless(number)) continue;
    snprintf(name, sizeof name, "call.%ld", number);
    attempt(name, call_wrongly, number);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "look") == 0) return look();
  if (argc == 2 && strcmp(argv[1], "calls") == 0) return sweep_calls();
  fprintf(stderr, "usage: probe-surface look | calls\n");
  return 2;
}
