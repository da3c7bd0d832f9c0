/* Runs commands in a guest of the lab, asked over a virtio-serial port.
 *
 * Both directions carry frames: u32 length of the body, u32 id, u32 kind, body (little-endian).
 * The host sends RUN (a shell script); the guest answers with any number of OUTPUT, then one EXITED (u32 wait status).
 * Several commands run at a time. Every answer carries the id of its request. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RUN = 1, OUTPUT = 2, EXITED = 3 };
enum { JOBS_MAX = 16, FRAME_BYTES_MAX = 16 << 20, CHUNK_BYTES = 32768 };

struct frame { uint32_t length, id, kind; };
struct job { pid_t pid; uint32_t id; int output; };

static struct job jobs[JOBS_MAX];
static int port;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void send_all(const void *bytes, size_t length) {
  const char *at = bytes;
  while (length > 0) {
    ssize_t sent = write(port, at, length);
    if (sent > 0) {
      at += sent;
      length -= (size_t)sent;
    } else if (errno != EINTR) {
      // Nobody listens on the host's side just now.
      usleep(20000);
    }
  }
}

static void answer(uint32_t id, uint32_t kind, const void *body, uint32_t length) {
  struct frame frame = {length, id, kind};
  send_all(&frame, sizeof frame);
  send_all(body, length);
}

/* The host may come and go: a port without a host reads as ended. */
static void receive_all(void *bytes, size_t length) {
  char *at = bytes;
  while (length > 0) {
    ssize_t got = read(port, at, length);
    if (got > 0) {
      at += got;
      length -= (size_t)got;
    } else {
      usleep(20000);
    }
  }
}

static void run_script(int script, int output) {
  char name[32];
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) _exit(126);
  setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
  setenv("HOME", "/root", 1);
  if (chdir("/root") < 0) _exit(126);
  snprintf(name, sizeof name, "/dev/fd/%d", script);
  execl("/bin/bash", "bash", name, (char *)NULL);
  _exit(127);
}

static void start_job(uint32_t id, const char *text, uint32_t length) {
  struct job *job = jobs;
  uint32_t refused = 125 << 8;
  int ends[2];
  while (job < jobs + JOBS_MAX && job->pid != 0) job++;
  if (job == jobs + JOBS_MAX) {
    answer(id, EXITED, &refused, sizeof refused);
    return;
  }
  int script = memfd_create("script", 0);
  if (script < 0 || write(script, text, length) != (ssize_t)length || lseek(script, 0, SEEK_SET) < 0) die("script");
  if (pipe2(ends, O_CLOEXEC) < 0) die("pipe");
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) run_script(script, ends[1]);
  close(script);
  close(ends[1]);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  *job = (struct job){pid, id, ends[0]};
}

static bool forward(struct job *job) {
  char chunk[CHUNK_BYTES];
  ssize_t got = read(job->output, chunk, sizeof chunk);
  if (got > 0) answer(job->id, OUTPUT, chunk, (uint32_t)got);
  if (got == 0) {
    close(job->output);
    job->output = -1;
  }
  return got > 0;
}

/* What a command leaves running may hold its output open: the command's own end is what counts. */
static void reap(int signals) {
  char ignored[256];
  int status;
  pid_t pid;
  if (read(signals, ignored, sizeof ignored) < 0 && errno != EAGAIN) die("signals");
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    for (struct job *job = jobs; job < jobs + JOBS_MAX; job++) {
      if (job->pid != pid) continue;
      while (forward(job)) continue;
      if (job->output >= 0) close(job->output);
      uint32_t ended = (uint32_t)status;
      answer(job->id, EXITED, &ended, sizeof ended);
      job->pid = 0;
    }
  }
}

static int child_pipe;

static void on_child(int signal_number) {
  int saved = errno;
  (void)signal_number;
  if (write(child_pipe, "", 1) < 0) errno = saved;
  errno = saved;
}

static int open_port(void) {
  for (int tries = 0; tries < 500; tries++) {
    int fd = open("/dev/virtio-ports/berth.lab", O_RDWR | O_CLOEXEC);
    if (fd >= 0) return fd;
    usleep(20000);
  }
  die("virtio port");
  return -1;
}

static void receive_request(void) {
  struct frame frame;
  receive_all(&frame, sizeof frame);
  if (frame.kind != RUN || frame.length > FRAME_BYTES_MAX) die("frame");
  char *text = malloc(frame.length + 1);
  if (text == NULL) die("memory");
  receive_all(text, frame.length);
  start_job(frame.id, text, frame.length);
  free(text);
}

int main(void) {
  int ends[2];
  struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
  signal(SIGPIPE, SIG_IGN);
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) die("pipe");
  child_pipe = ends[1];
  sigaction(SIGCHLD, &action, NULL);
  port = open_port();
  for (;;) {
    struct pollfd polls[JOBS_MAX + 2] = {{.fd = ends[0], .events = POLLIN}, {.fd = port, .events = POLLIN}};
    for (int i = 0; i < JOBS_MAX; i++) {
      polls[i + 2] = (struct pollfd){.fd = jobs[i].pid == 0 ? -1 : jobs[i].output, .events = POLLIN};
    }
    if (poll(polls, JOBS_MAX + 2, -1) < 0 && errno != EINTR) die("poll");
    for (int i = 0; i < JOBS_MAX; i++) {
      if (polls[i + 2].fd >= 0 && polls[i + 2].revents != 0) forward(&jobs[i]);
    }
    if ((polls[1].revents & POLLIN) != 0) receive_request();
    else if ((polls[1].revents & POLLHUP) != 0) usleep(20000);
    reap(ends[0]);
  }
}
