#include "one-client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "protocol.h"

#define CONNECT_TIMEOUT_MS 60000
#define LINGER_TIMEOUT_MS 5000

static int fail(struct failure *failure, const char *object, const char *detail) {
  failure->error = errno;
  snprintf(failure->object, sizeof failure->object, "%s", object);
  snprintf(failure->detail, sizeof failure->detail, "%s", detail);
  return -1;
}

/* A private socket: nobody else can connect, whatever the mode of its directory. */
static int listen_at(const char *path, struct failure *failure) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return fail(failure, path, "the path of the socket is too long");
  }
  memcpy(address.sun_path, path, strlen(path) + 1);
  OWNED_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(failure, path, "cannot make a socket");
  mode_t before = umask(0177);
  int bound = bind(fd, (struct sockaddr *)&address, sizeof address);
  umask(before);
  if (bound < 0) return fail(failure, path, "cannot bind the socket");
  if (listen(fd, 1) == 0) return steal_fd(&fd);
  fail(failure, path, "cannot listen on the socket");
  unlink(path);
  return -1;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* 1: readable; 0: the deadline is over. */
static int wait_until(int fd, int64_t deadline_ms) {
  for (;;) {
    int64_t left = deadline_ms - now_ms();
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    int ready = left > 0 ? poll(&polled, 1, (int)left) : 0;
    if (ready >= 0 || errno != EINTR) return ready;
  }
}

static int accept_client(int listener) {
  int64_t deadline = now_ms() + CONNECT_TIMEOUT_MS;
  while (wait_until(listener, deadline) > 0) {
    OWNED_FD client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (client >= 0 && getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
        peer.uid == geteuid())
      return steal_fd(&client);
  }
  return -1;
}

static int drop_capabilities(const struct one_client *life) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  for (size_t i = 0; i < life->capability_count; i++)
    data[life->capabilities[i] / 32].permitted |= 1u << life->capabilities[i] % 32;
  data[0].effective = data[0].permitted;
  data[1].effective = data[1].permitted;
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) return -1;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
  return (int)syscall(SYS_capset, &header, data);
}

/* The launcher's descriptors are no business of this process; stderr stays. */
static int close_all_but(const int kept[], size_t count) {
  OWNED_FD nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0) return -1;
  drop_fd(&nothing);
  for (unsigned from = STDERR_FILENO + 1;;) {
    unsigned next = ~0u;
    for (size_t i = 0; i < count; i++)
      if (kept[i] >= (int)from && (unsigned)kept[i] < next) next = (unsigned)kept[i];
    if (next == ~0u) return close_range(from, ~0u, 0);
    if (next > from && close_range(from, next - 1, 0) < 0) return -1;
    from = next + 1;
  }
}

/* A close with bytes unread would reset the connection under the answer: the client gets a moment to see it. */
static void linger(int client) {
  static uint8_t nowhere[65536];
  int64_t deadline = now_ms() + LINGER_TIMEOUT_MS;
  shutdown(client, SHUT_WR);
  while (wait_until(client, deadline) > 0 && read(client, nowhere, sizeof nowhere) > 0) continue;
}

static int listen_unprivileged(const struct one_client *life, struct failure *failure) {
  OWNED_FD listener = listen_at(life->socket_path, failure);
  if (listener < 0) return -1;
  if (drop_capabilities(life) == 0) return steal_fd(&listener);
  fail(failure, life->object, "cannot give up capabilities");
  unlink(life->socket_path);
  return -1;
}

int one_client_serve(const struct one_client *life, int report_fd) {
  struct failure failure = {.stage = BERTH_STAGE_UNPACK};
  OWNED_FD listener = listen_unprivileged(life, &failure);
  if (listener < 0) {
    wire_send_failure(report_fd, life->request_id, &failure);
    close(report_fd);
    return 1;
  }
  wire_send(report_fd, life->request_id, BERTH_MSG_DONE, NULL, 0);
  if (close_all_but((const int[]){life->fds[0], life->fds[1], listener}, ONE_CLIENT_FDS + 1) < 0) {
    unlink(life->socket_path);
    return 1;
  }
  OWNED_FD client = accept_client(listener);
  unlink(life->socket_path);
  drop_fd(&listener);
  if (client < 0) return 1;
  int done = life->work(client, life, &failure);
  failure.stage = BERTH_STAGE_UNPACK;
  if (done < 0) wire_send_failure(client, life->request_id, &failure);
  linger(client);
  return done == 0 ? 0 : 1;
}
