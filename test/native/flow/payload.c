/* What runs inside the containers of the flow test. The first argument says what it does. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int say(void) {
  printf("out\n");
  fflush(stdout);
  fprintf(stderr, "err\n");
  return 7;
}

static int copy(void) {
  char bytes[4096];
  ssize_t got;
  while ((got = read(0, bytes, sizeof bytes)) > 0) {
    if (write(1, bytes, (size_t)got) != got) return 1;
  }
  return 3;
}

static int flood(long bytes) {
  char line[100];
  memset(line, 'x', sizeof line);
  line[99] = '\n';
  for (long left = bytes; left > 0;) {
    ssize_t written = write(1, line, left < 100 ? (size_t)left : 100);
    if (written <= 0) return 1;
    left -= written;
  }
  return 0;
}

static int show_status(void) {
  char line[256], cwd[256];
  int descriptors = 0;
  struct stat status;
  FILE *file = fopen("/proc/self/status", "re");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "Cap", 3) == 0 || strncmp(line, "Uid", 3) == 0 || strncmp(line, "Groups", 6) == 0 ||
        strncmp(line, "NoNewPrivs", 10) == 0 || strncmp(line, "Seccomp:", 8) == 0) {
      fputs(line, stdout);
    }
  }
  if (file != NULL) fclose(file);
  for (int fd = 0; fd < 1024; fd++) descriptors += fcntl(fd, F_GETFD) >= 0;
  printf("descriptors %d\ncwd %s\npid %d\n", descriptors, getcwd(cwd, sizeof cwd), getpid());
  int again = open("/proc/self/fd/1", O_WRONLY | O_CLOEXEC);
  printf("reopened %d\nmasked %d\n", again >= 0, stat("/proc/interrupts", &status) == 0 && status.st_rdev == 0x103);
  printf("outside %d\n", access("/host-has-this", F_OK) == 0);
  return 0;
}

static void show_terminal(void) {
  struct winsize size = {0};
  ioctl(0, TIOCGWINSZ, &size);
  printf("terminal %d %d %d %d\n", isatty(0) && isatty(1), size.ws_row, size.ws_col, getsid(0) == getpid());
  fflush(stdout);
}

static int use_terminal(void) {
  char line[64];
  show_terminal();
  if (fgets(line, sizeof line, stdin) == NULL) return 1;
  show_terminal();
  return 4;
}

static void end_on_signal(int number) { _exit(number); }

static _Noreturn void wait_for_signal(void) {
  signal(SIGTERM, end_on_signal);
  signal(SIGUSR1, end_on_signal);
  printf("ready %d\n", getpid());
  fflush(stdout);
  for (;;) pause();
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "say") == 0) return say();
  if (strcmp(what, "copy") == 0) return copy();
  if (strcmp(what, "flood") == 0 && argc > 2) return flood(atol(argv[2]));
  if (strcmp(what, "status") == 0) return show_status();
  if (strcmp(what, "terminal") == 0) return use_terminal();
  if (strcmp(what, "wait") == 0) wait_for_signal();
  return 99;
}
