/* What a program does that leaves its process to somebody else than a supervisor: who releases it, and who has its
 * terminal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel.h"
#include "cleanup.h"
#include "handoff.h"
#include "place.h"
#include "process.h"
#include "program.h"

/* A name that fits however long the path is: that of the directory's descriptor. */
static int address_of(const char *path, struct sockaddr_un *address, struct place *place) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  int error = place_open(place, path);
  if (error < 0) return error;
  int length = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", place->directory,
                        place->name);
  return length < (int)sizeof address->sun_path ? 0 : -ENAMETOOLONG;
}

int op_listen(struct program *program, struct wire_reader *payload) {
  uint32_t slot = wire_u32(payload);
  const char *path = wire_string(payload);
  struct sockaddr_un address;
  struct place place = NO_PLACE;
  int error = address_of(path, &address, &place);
  OWNED_FD fd = error < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (error == 0 && (fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
                     listen(fd, 4) < 0)) {
    error = -errno;
  }
  place_close(&place);
  return error < 0 ? program_fails(program, error, path) : program_fill_slot(program, slot, steal_fd(&fd));
}

/* The asker sends one RELEASE; whatever else comes is not him. */
static bool asks_for_release(int connection) {
  uint8_t header[BERTH_HEADER_BYTES];
  size_t have = 0;
  while (have < sizeof header) {
    ssize_t got = read(connection, header + have, sizeof header - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    have += (size_t)got;
  }
  return (header[8] | header[9] << 8) == BERTH_MSG_RELEASE;
}

/* The connection takes the channel's place: a failure is sent there, and exec closes it. */
int op_hold_until(struct program *program, struct wire_reader *payload) {
  int listener = program_slot(program, wire_u32(payload));
  if (listener < 0) return program_fails(program, listener, "socket slot");
  int error = channel_send_kind(program->channel, CHANNEL_HELD);
  if (error < 0) return error;
  /* Until its start a process ends by the signals that end any other. */
  process_reset_signals();
  for (;;) {
    OWNED_FD connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (connection < 0) return program_fails(program, -errno, "start");
    if (!asks_for_release(connection)) continue;
    drop_fd(&program->channel);
    program->channel = steal_fd(&connection);
    program->answers_asker = true;
    return 0;
  }
}

/* A stream socket to whoever listens at this path, or -errno. */
static int connect_to(const char *path) {
  struct sockaddr_un address;
  struct place place = NO_PLACE;
  int error = address_of(path, &address, &place);
  OWNED_FD fd = error < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (error == 0 && (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)) error = -errno;
  place_close(&place);
  return error < 0 ? error : steal_fd(&fd);
}

int op_console_socket(struct program *program, struct wire_reader *payload) {
  const char *path = wire_string(payload);
  int fd = connect_to(path);
  if (fd < 0) return program_fails(program, fd, path);
  drop_fd(&program->console_socket);
  program->console_socket = fd;
  return 0;
}

int op_seccomp_agent(struct program *program, struct wire_reader *payload) {
  const char *path = wire_string(payload);
  int fd = connect_to(path);
  if (fd < 0) {
    program_detail(program, "failed to connect with seccomp agent");
    return program_fails(program, fd, path);
  }
  drop_fd(&program->seccomp_agent);
  program->seccomp_agent = fd;
  program->agent_state = *payload;
  return 0;
}

static int send_descriptor(int socket, const void *text, size_t length, int fd) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {.bytes = {0}};
  struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = length};
  struct msghdr header = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  control.header.cmsg_level = SOL_SOCKET;
  control.header.cmsg_type = SCM_RIGHTS;
  control.header.cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
  ssize_t sent;
  do {
    sent = sendmsg(socket, &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return -errno;
  return wire_write_all(socket, (const char *)text + sent, length - (size_t)sent);
}

/* Receivers want some bytes along with the descriptor, by custom its name. */
int handoff_terminal(int console_socket, int master) {
  static const char name[] = "/dev/ptmx";
  return send_descriptor(console_socket, name, sizeof name - 1, master);
}

/* The connection is for this one state, and ends with it (runtime-spec, "The Container Process State"). */
int handoff_listener(int agent, struct wire_reader state, pid_t pid, int listener) {
  static char text[HANDOFF_STATE_BYTES_MAX];
  size_t length = 0;
  uint32_t count = wire_u32(&state);
  for (uint32_t i = 0; i < count; i++) {
    const char *part = wire_string(&state);
    int added = i == 0 ? snprintf(text + length, sizeof text - length, "%s", part)
                       : snprintf(text + length, sizeof text - length, "%d%s", pid, part);
    if (added < 0 || (size_t)added >= sizeof text - length) return -EMSGSIZE;
    length += (size_t)added;
  }
  return length == 0 ? -EINVAL : send_descriptor(agent, text, length, listener);
}

/* The start time tells the container's process from a later one with its number. */
int op_container(struct program *program, struct wire_reader *payload) {
  pid_t pid = (pid_t)wire_u32(payload);
  uint64_t start_time = wire_u64(payload);
  OWNED_FD pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) return program_fails(program, -errno, "the container's process");
  if (process_start_time(pid) != start_time) return program_fails(program, -ESRCH, "the container's process");
  program->container_pidfd = steal_fd(&pidfd);
  return 0;
}
