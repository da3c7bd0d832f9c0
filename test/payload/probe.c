/* A static program that shows what a process can see, and misbehaves on demand. One verb per run:
 *
 *     exit N | sleep S | env | args [ARG...]
 *     cat FILE | touch FILE | write FILE TEXT | ls DIR | stat FILE
 *     every N FILE             a byte more in the file at each run; fails at every Nth
 *     flood BYTES [CHUNK]      that many bytes on stdout, in lines of CHUNK - 1 (1024)
 *     line BYTES               one line
 *     lines N [PAUSE_MS]       numbered lines on stdout, every tenth on stderr
 *     echo                     stdin to stdout, until the end of input
 *     ignore-term              prints "ready", ignores SIGTERM, waits
 *     on-term CODE             prints "ready", exits with CODE on SIGTERM
 *     on-hup PATH              prints what is in the file, and again on each SIGHUP; exits with 3 where that begins
 *                              with "bad"
 *     reread PATH MS           reads the file again and again for so long, prints what it holds whenever that is
 *                              something else, "failed" where it cannot be read
 *     raise SIGNAL             dies of it
 *     fork-zombies N           children that outlive their parent, then dies of patience (sleeps)
 *     fork-bomb                forks until it is refused, prints the count
 *     eat-memory MIB           touches it, prints "ate", sleeps
 *     burn MS                  uses one CPU
 *     hold-files N             opens so many files, prints the count
 *     ids | fds | mounts | tty what its names say
 *
 * Exit status: 0, or 1 with "probe: VERB: reason" on stderr, 2 for a verb that does not exist.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

struct verb {
  const char *name;
  int arguments_min;
  int (*run)(int argc, char **argv); /* argv[0] is the first argument after the verb */
};

static int failed(const char *what) {
  fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
  return 1;
}

static void sleep_for_ms(long ms) {
  struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  while (nanosleep(&left, &left) < 0 && errno == EINTR) continue;
}

static void wait_forever(void) {
  for (;;) pause();
}

static int run_exit(int argc, char **argv) {
  (void)argc;
  return atoi(argv[0]);
}

static int run_sleep(int argc, char **argv) {
  (void)argc;
  sleep_for_ms((long)(strtod(argv[0], NULL) * 1000));
  return 0;
}

static int run_env(int argc, char **argv) {
  (void)argc, (void)argv;
  for (char **at = environ; *at; at++) puts(*at);
  return 0;
}

static int run_args(int argc, char **argv) {
  for (int i = 0; i < argc; i++) printf("%d: %s\n", i, argv[i]);
  return 0;
}

static int write_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t put = write(fd, bytes, length);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return failed("write");
    bytes += put;
    length -= (size_t)put;
  }
  return 0;
}

static int copy(int from, int to) {
  char chunk[65536];
  ssize_t got;
  while ((got = read(from, chunk, sizeof chunk)) > 0)
    if (write_all(to, chunk, (size_t)got)) return 1;
  return got < 0 ? failed("read") : 0;
}

static int run_cat(int argc, char **argv) {
  (void)argc;
  int fd = open(argv[0], O_RDONLY | O_CLOEXEC);
  return fd < 0 ? failed(argv[0]) : copy(fd, STDOUT_FILENO);
}

static int run_echo(int argc, char **argv) {
  (void)argc, (void)argv;
  return copy(STDIN_FILENO, STDOUT_FILENO);
}

static int run_touch(int argc, char **argv) {
  (void)argc;
  int fd = open(argv[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0 || futimens(fd, NULL) < 0) return failed(argv[0]);
  return 0;
}

static int run_every(int argc, char **argv) {
  (void)argc;
  int fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  struct stat status;
  if (fd < 0 || write(fd, "x", 1) != 1 || fstat(fd, &status) < 0) return failed(argv[1]);
  return status.st_size % atol(argv[0]) == 0;
}

static int run_remove(int argc, char **argv) {
  (void)argc;
  return remove(argv[0]) < 0 ? failed(argv[0]) : 0;
}

static int run_unmount(int argc, char **argv) {
  (void)argc;
  return umount2(argv[0], MNT_DETACH) < 0 ? failed(argv[0]) : 0;
}

static int run_cover(int argc, char **argv) {
  (void)argc;
  return mount("by-hand", argv[0], "tmpfs", 0, NULL) < 0 ? failed(argv[0]) : 0;
}

static int run_remount(int argc, char **argv) {
  (void)argc;
  return mount(NULL, argv[0], NULL, MS_REMOUNT | MS_BIND, NULL) < 0 ? failed(argv[0]) : 0;
}

static int run_mkdir(int argc, char **argv) {
  (void)argc;
  return mkdir(argv[0], 0755) < 0 ? failed(argv[0]) : 0;
}

static int run_write(int argc, char **argv) {
  (void)argc;
  int fd = open(argv[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  return fd < 0 ? failed(argv[0]) : write_all(fd, argv[1], strlen(argv[1]));
}

static int compare_names(const struct dirent **left, const struct dirent **right) {
  return strcmp((*left)->d_name, (*right)->d_name);
}

static int run_ls(int argc, char **argv) {
  (void)argc;
  struct dirent **names;
  int count = scandir(argv[0], &names, NULL, compare_names);
  if (count < 0) return failed(argv[0]);
  for (int i = 0; i < count; i++)
    if (strcmp(names[i]->d_name, ".") != 0 && strcmp(names[i]->d_name, "..") != 0)
      puts(names[i]->d_name);
  return 0;
}

static int run_stat(int argc, char **argv) {
  (void)argc;
  struct stat got;
  if (lstat(argv[0], &got) < 0) return failed(argv[0]);
  static const char *const types[] = {"?", "fifo", "char", "?", "directory", "?", "block", "?",
                                      "file", "?", "symlink", "?", "socket", "?", "?", "?"};
  printf("type=%s uid=%u gid=%u mode=%04o size=%lld rdev=%u:%u links=%lu mtime=%lld.%09ld\n",
         types[got.st_mode >> 12 & 15], got.st_uid, got.st_gid, got.st_mode & 07777,
         (long long)got.st_size, major(got.st_rdev), minor(got.st_rdev),
         (unsigned long)got.st_nlink, (long long)got.st_mtim.tv_sec, got.st_mtim.tv_nsec);
  return 0;
}

static int run_flood(int argc, char **argv) {
  uint64_t left = strtoull(argv[0], NULL, 10);
  size_t chunk = argc > 1 ? strtoul(argv[1], NULL, 10) : 1024;
  char *line = malloc(chunk ? chunk : 1);
  if (!line || chunk == 0) return failed("flood");
  memset(line, 'x', chunk);
  if (chunk > 1) line[chunk - 1] = '\n';
  for (; left > 0; left -= left < chunk ? left : chunk)
    if (write_all(STDOUT_FILENO, line, left < chunk ? (size_t)left : chunk)) return 1;
  return 0;
}

static int run_line(int argc, char **argv) {
  (void)argc;
  char chunk[65536];
  memset(chunk, 'y', sizeof chunk);
  uint64_t left = strtoull(argv[0], NULL, 10);
  for (size_t put; left > 0; left -= put) {
    put = left < sizeof chunk ? (size_t)left : sizeof chunk;
    if (write_all(STDOUT_FILENO, chunk, put)) return 1;
  }
  return write_all(STDOUT_FILENO, "\n", 1);
}

static int run_lines(int argc, char **argv) {
  long pause_ms = argc > 1 ? atol(argv[1]) : 0;
  for (long i = 1, count = atol(argv[0]); i <= count; i++) {
    dprintf(i % 10 ? STDOUT_FILENO : STDERR_FILENO, "line %ld\n", i);
    if (pause_ms > 0) sleep_for_ms(pause_ms);
  }
  return 0;
}

static int run_ignore_term(int argc, char **argv) {
  (void)argc, (void)argv;
  signal(SIGTERM, SIG_IGN);
  puts("ready");
  fflush(stdout);
  wait_forever();
  return 0;
}

static int code_on_term;

static void exit_on_term(int number) {
  (void)number;
  _exit(code_on_term);
}

static int run_on_term(int argc, char **argv) {
  (void)argc;
  code_on_term = atoi(argv[0]);
  struct sigaction action = {.sa_handler = exit_on_term};
  sigaction(SIGTERM, &action, NULL);
  puts("ready");
  fflush(stdout);
  wait_forever();
  return 0;
}

static ssize_t read_start(const char *path, char *text, size_t size) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -1;
  ssize_t length = read(fd, text, size - 1);
  close(fd);
  if (length >= 0) text[length] = 0;
  return length;
}

static int run_on_hup(int argc, char **argv) {
  (void)argc;
  char text[1024];
  int number;
  sigset_t awaited;
  sigemptyset(&awaited);
  sigaddset(&awaited, SIGHUP);
  sigprocmask(SIG_BLOCK, &awaited, NULL);
  for (;;) {
    if (read_start(argv[0], text, sizeof text) < 0) return failed("on-hup");
    printf("%s", text);
    fflush(stdout);
    if (strncmp(text, "bad", 3) == 0) return 3;
    sigwait(&awaited, &number);
  }
}

static int run_reread(int argc, char **argv) {
  (void)argc;
  char text[1024], last[1024] = "";
  struct timespec now, end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  long left_ms = atol(argv[1]);
  end.tv_sec += left_ms / 1000;
  do {
    if (read_start(argv[0], text, sizeof text) < 0) snprintf(text, sizeof text, "failed\n");
    if (strcmp(text, last) != 0) printf("%s", text);
    strcpy(last, text);
    fflush(stdout);
    clock_gettime(CLOCK_MONOTONIC, &now);
  } while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
  return 0;
}

/* PID 1 of a namespace is spared signals with default action, but not its own faults. */
static int run_raise(int argc, char **argv) {
  (void)argc;
  int number = atoi(argv[0]);
  signal(number, SIG_DFL);
  raise(number);
  volatile uintptr_t nowhere = 8;
  if (number == SIGSEGV) *(volatile int *)nowhere = 1;
  errno = EPERM;
  return failed("raise");
}

static int run_fork_zombies(int argc, char **argv) {
  (void)argc;
  long count = atol(argv[0]), made = 0;
  for (; made < count; made++) {
    pid_t child = fork();
    if (child < 0) break;
    if (child == 0) {
      if (fork() == 0) sleep_for_ms(50); /* an orphan, for PID 1 to reap */
      _exit(0);
    }
  }
  printf("zombies %ld\n", made);
  fflush(stdout);
  wait_forever();
  return 0;
}

static int run_fork_bomb(int argc, char **argv) {
  (void)argc, (void)argv;
  long made = 0;
  for (; made < 100000; made++) {
    pid_t child = fork();
    if (child < 0) break;
    if (child == 0) wait_forever();
  }
  printf("forked %ld: %s\n", made, strerror(errno));
  fflush(stdout);
  signal(SIGTERM, SIG_IGN);
  kill(0, SIGTERM); /* the children share this process group */
  while (wait(NULL) > 0) continue;
  return 0;
}

static int run_eat_memory(int argc, char **argv) {
  (void)argc;
  size_t length = strtoul(argv[0], NULL, 10) << 20;
  char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return failed("mmap");
  memset(memory, 0x5a, length);
  printf("ate %s\n", argv[0]);
  fflush(stdout);
  wait_forever();
  return 0;
}

static int run_burn(int argc, char **argv) {
  (void)argc;
  clock_t end = clock() + (clock_t)(strtod(argv[0], NULL) * CLOCKS_PER_SEC / 1000);
  while (clock() < end) continue;
  return 0;
}

static int run_hold_files(int argc, char **argv) {
  (void)argc;
  long wanted = atol(argv[0]), held = 0;
  while (held < wanted && open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) held++;
  printf("files %ld: %s\n", held, held < wanted ? strerror(errno) : "all");
  return 0;
}

static int run_ids(int argc, char **argv) {
  (void)argc, (void)argv;
  uid_t real_uid, effective_uid, saved_uid;
  gid_t real_gid, effective_gid, saved_gid, groups[256];
  getresuid(&real_uid, &effective_uid, &saved_uid);
  getresgid(&real_gid, &effective_gid, &saved_gid);
  printf("uid: %u %u %u\ngid: %u %u %u\ngroups:", real_uid, effective_uid, saved_uid, real_gid,
         effective_gid, saved_gid);
  int count = getgroups(256, groups);
  for (int i = 0; i < count; i++) printf(" %u", groups[i]);
  printf("\npid: %d\nppid: %d\nsession: %d\n", getpid(), getppid(), getsid(0));
  char line[4096];
  FILE *status = fopen("/proc/self/status", "re");
  if (!status) return failed("/proc/self/status");
  while (fgets(line, sizeof line, status))
    if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "NoNewPrivs", 10) == 0 ||
        strncmp(line, "Seccomp", 7) == 0)
      fputs(line, stdout);
  fclose(status);
  return 0;
}

static int run_fds(int argc, char **argv) {
  (void)argc, (void)argv;
  DIR *directory = opendir("/proc/self/fd");
  if (!directory) return failed("/proc/self/fd");
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    char target[4096] = "";
    if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(directory)) continue;
    if (readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1) >= 0)
      printf("%s -> %s\n", entry->d_name, target);
  }
  closedir(directory);
  return 0;
}

static int run_mounts(int argc, char **argv) {
  (void)argc, (void)argv;
  return run_cat(1, (char *[]){"/proc/self/mountinfo", NULL});
}

static void print_window(void) {
  struct winsize size = {0};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
    printf("window %u rows %u columns\n", size.ws_row, size.ws_col);
  fflush(stdout);
}

static volatile sig_atomic_t resized;

static void on_resize(int number) {
  resized = number;
}

/* Ends with the end of input, or with the line "quit". */
static int run_tty(int argc, char **argv) {
  (void)argc, (void)argv;
  struct sigaction action = {.sa_handler = on_resize}; /* no SA_RESTART: read is to return */
  sigaction(SIGWINCH, &action, NULL);
  printf("stdin %d stdout %d stderr %d\n", isatty(0), isatty(1), isatty(2));
  char name[256] = "", line[1024];
  if (ttyname_r(STDIN_FILENO, name, sizeof name) == 0) printf("name %s\n", name);
  print_window();
  for (;;) {
    ssize_t got = read(STDIN_FILENO, line, sizeof line - 1);
    if (got < 0 && errno == EINTR) {
      if (resized) print_window();
      resized = 0;
      continue;
    }
    if (got <= 0) return got < 0;
    line[got] = 0;
    if (strncmp(line, "quit", 4) == 0) return 0;
    printf("read %zd: %s", got, line);
    fflush(stdout);
  }
}

/* As the first process: stops everything else that turns up here. */
static int run_stop_others(int argc, char **argv) {
  (void)argc;
  (void)argv;
  printf("ready\n");
  fflush(stdout);
  while (kill(-1, SIGSTOP) == 0 || errno == ESRCH) continue;
  return 1;
}

static const struct verb verbs[] = {
    {"exit", 1, run_exit},
    {"sleep", 1, run_sleep},
    {"env", 0, run_env},
    {"args", 0, run_args},
    {"cat", 1, run_cat},
    {"echo", 0, run_echo},
    {"touch", 1, run_touch},
    {"every", 2, run_every},
    {"remove", 1, run_remove},
    {"unmount", 1, run_unmount},
    {"cover", 1, run_cover},
    {"remount", 1, run_remount},
    {"mkdir", 1, run_mkdir},
    {"write", 2, run_write},
    {"ls", 1, run_ls},
    {"stat", 1, run_stat},
    {"flood", 1, run_flood},
    {"line", 1, run_line},
    {"lines", 1, run_lines},
    {"ignore-term", 0, run_ignore_term},
    {"on-term", 1, run_on_term},
    {"on-hup", 1, run_on_hup},
    {"reread", 2, run_reread},
    {"raise", 1, run_raise},
    {"fork-zombies", 1, run_fork_zombies},
    {"fork-bomb", 0, run_fork_bomb},
    {"eat-memory", 1, run_eat_memory},
    {"burn", 1, run_burn},
    {"hold-files", 1, run_hold_files},
    {"ids", 0, run_ids},
    {"fds", 0, run_fds},
    {"mounts", 0, run_mounts},
    {"tty", 0, run_tty},
    {"stop-others", 0, run_stop_others},
};

int main(int argc, char **argv) {
  for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++) {
    if (strcmp(argv[1], verbs[i].name) != 0) continue;
    if (argc - 2 < verbs[i].arguments_min) break;
    int status = verbs[i].run(argc - 2, argv + 2);
    fflush(stdout);
    return status;
  }
  fprintf(stderr, "usage: probe VERB [ARGUMENT...]; verbs:");
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) fprintf(stderr, " %s", verbs[i].name);
  fprintf(stderr, "\n");
  return 2;
}
