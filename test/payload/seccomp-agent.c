/* An agent of seccomp filters that ask (SCMP_ACT_NOTIFY): for each process that it is told of, it prints the state on one
 * line, then refuses every call that is asked about with ENOMEDIUM, and prints its number.
 *
 *     seccomp-agent SOCKET
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The state is whole when the sender closes. */
static int receive_state(int connection) {
  static char text[1 << 16];
  int listener = -1;
  size_t length = 0;
  for (;;) {
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {.iov_base = text + length, .iov_len = sizeof text - 1 - length};
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(connection, &header, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    length += (size_t)got;
    struct cmsghdr *first = CMSG_FIRSTHDR(&header);
    if (first != NULL && first->cmsg_type == SCM_RIGHTS) memcpy(&listener, CMSG_DATA(first), sizeof listener);
  }
  text[length] = '\0';
  printf("state %s\n", text);
  return listener;
}

static void answer(int listener) {
  for (;;) {
    struct seccomp_notif asked = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0) {
      if (errno == EINTR || errno == ENOENT) continue;
      return;
    }
    printf("asked %d\n", asked.data.nr);
    struct seccomp_notif_resp reply = {.id = asked.id, .error = -ENOMEDIUM};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
  }
}

int main(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) return 2;
  strcpy(address.sun_path, argv[1]);
  setvbuf(stdout, NULL, _IOLBF, 0);
  int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0 || bind(socket_fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(socket_fd, 4) < 0) {
    perror(argv[1]);
    return 1;
  }
  puts("listening");
  for (;;) {
    int connection = accept(socket_fd, NULL, NULL);
    if (connection < 0) continue;
    int listener = receive_state(connection);
    close(connection);
    pid_t pid = listener < 0 ? -1 : fork();
    if (pid == 0) {
      answer(listener);
      return 0;
    }
    close(listener);
  }
}
