#include "launcher-jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "fingerprint.h"
#include "kernel-abi.h"
#include "program.h"
#include "remove-tree.h"
#include "supervisor.h"
#include "take-files.h"
#include "unpack.h"

static int malformed(struct failure *failure, const char *why) {
  failure->error = EBADMSG;
  snprintf(failure->object, sizeof failure->object, "request");
  snprintf(failure->detail, sizeof failure->detail, "%s", why);
  return -EBADMSG;
}

/* A child that is no supervisor has waitable children, and no signal reaches it by way of the agent's terminal. */
static void begin_child(int report_fd) {
  setpgid(0, 0);
  signal(SIGCHLD, SIG_DFL);
  umask(0);
  dup2(report_fd, 3);
  fcntl(3, F_SETFD, FD_CLOEXEC);
  sys_close_range(4, ~0U, 0);
  OWNED_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
  dup2(null, 0);
  dup2(null, 1);
}

static int fork_with_pipe(int *report_fd, int *child_end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
  pid_t pid = fork();
  if (pid == 0) {
    close(ends[0]);
    *child_end = ends[1];
    return 1;
  }
  int error = -errno;
  close(ends[1]);
  if (pid > 0) {
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *report_fd = ends[0];
    return 0;
  }
  close(ends[0]);
  return error;
}

static int start(const struct wire_inbox *request, int *report_fd, struct failure *failure) {
  struct wire_reader body = wire_reader_of(request->body, request->header.length);
  struct start_request start = {.id = request->header.id,
                                .mapping = request->body,
                                .mapping_bytes = request->header.length};
  int child_end = -1;
  start.container_id = wire_string(&body);
  start.socket_path = wire_string(&body);
  start.exit_path = wire_string(&body);
  start.log_path = wire_string(&body);
  start.log_bytes_max = wire_u64(&body);
  start.log_files_max = wire_u32(&body);
  start.flags = wire_u32(&body);
  start.program = body.at;
  start.program_bytes = (size_t)(body.end - body.at);
  if (body.broken) return malformed(failure, "fields of START");
  int error = program_check(PROGRAM_START, start.program, start.program_bytes, failure);
  if (error == 0) error = fork_with_pipe(report_fd, &child_end);
  if (error == 1) supervisor_run(&start, child_end);
  return error;
}

static int run(const struct wire_inbox *request, int *report_fd, struct failure *failure) {
  struct program program;
  int child_end = -1;
  int error = program_check(PROGRAM_RUN, request->body, request->header.length, failure);
  if (error == 0) error = fork_with_pipe(report_fd, &child_end);
  if (error != 1) return error;
  begin_child(child_end);
  program_init(&program, request->header.id, request->body, request->header.length);
  program.report_fd = 3;
  if (program_run_host(&program, BERTH_STAGE_LAUNCHER) < 0) {
    wire_send_failure(3, program.id, &program.failure);
    _exit(1);
  }
  wire_send(3, program.id, BERTH_MSG_DONE, NULL, 0);
  _exit(0);
}

static bool is_netlink_only(const struct wire_inbox *request) {
  struct wire_reader rest = wire_reader_of(request->body, request->header.length);
  struct operation operation;
  while (program_next(&rest, &operation)) {
    if (operation.op != BERTH_OP_NETLINK) return false;
  }
  return true;
}

bool job_run_here(const struct wire_inbox *request, int *netlink_sockets) {
  struct failure failure = {0};
  struct program program;
  if (request->header.type != BERTH_MSG_RUN || !is_netlink_only(request)) return false;
  if (program_check(PROGRAM_RUN, request->body, request->header.length, &failure) < 0) return false;
  program_init(&program, request->header.id, request->body, request->header.length);
  program.report_fd = 1;
  program.netlink_sockets = netlink_sockets;
  if (program_run_host(&program, BERTH_STAGE_LAUNCHER) < 0) wire_send_failure(1, program.id, &program.failure);
  else wire_send(1, program.id, BERTH_MSG_DONE, NULL, 0);
  program_release(&program);
  return true;
}

static struct layer_source encoded_source(struct wire_reader *body) {
  struct layer_source source = {.sender = -1, .kept = -1};
  source.encoding = wire_u32(body);
  source.dense_from = wire_u64(body);
  source.ratio_max = wire_u32(body);
  return source;
}

static bool is_source(const struct layer_source *source) {
  return source->ratio_max > 0 && source->encoding <= BERTH_ENCODING_ZSTD;
}

static int unpack(const struct wire_inbox *request, int *report_fd, struct failure *failure) {
  struct wire_reader body = wire_reader_of(request->body, request->header.length);
  struct unpack_request unpack = {.request_id = request->header.id};
  int child_end = -1;
  unpack.socket_path = wire_string(&body);
  unpack.destination = wire_string(&body);
  unpack.id_base = wire_u32(&body);
  unpack.bytes_max = wire_u64(&body);
  unpack.entries_max = wire_u32(&body);
  unpack.source = encoded_source(&body);
  unpack.source.has_keeper = true;
  unpack.end_may_lack = wire_u32(&body) == 1;
  unpack.kept_path = wire_string(&body);
  if (!wire_is_done(&body) || !is_source(&unpack.source)) return malformed(failure, "fields of UNPACK");
  int error = fork_with_pipe(report_fd, &child_end);
  if (error != 1) return error;
  begin_child(child_end);
  _exit(unpack_serve(&unpack, 3));
}

static int take_files(const struct wire_inbox *request, int *report_fd, struct failure *failure) {
  struct wire_reader body = wire_reader_of(request->body, request->header.length);
  struct take_request take = {.request_id = request->header.id};
  int child_end = -1;
  take.socket_path = wire_string(&body);
  take.destination = wire_string(&body);
  take.bytes_max = wire_u64(&body);
  take.entries_max = wire_u32(&body);
  take.source = encoded_source(&body);
  if (!wire_is_done(&body) || !is_source(&take.source)) return malformed(failure, "fields of TAKE_FILES");
  int error = fork_with_pipe(report_fd, &child_end);
  if (error != 1) return error;
  begin_child(child_end);
  _exit(take_files_serve(&take, 3));
}

static int remove_path(const struct wire_inbox *request, int *report_fd, struct failure *failure) {
  struct wire_reader body = wire_reader_of(request->body, request->header.length);
  const char *path = wire_string(&body);
  int child_end = -1;
  if (!wire_is_done(&body)) return malformed(failure, "fields of REMOVE_TREE");
  int error = fork_with_pipe(report_fd, &child_end);
  if (error != 1) return error;
  begin_child(child_end);
  if (remove_tree(path, failure->object, sizeof failure->object) == 0) {
    wire_send(3, request->header.id, BERTH_MSG_DONE, NULL, 0);
    _exit(0);
  }
  failure->error = errno;
  wire_send_failure(3, request->header.id, failure);
  _exit(1);
}

static int fingerprint(const struct wire_inbox *request, int *report_fd, struct failure *failure) {
  size_t length = request->header.length;
  size_t groups = fingerprint_groups(request->body, length);
  int child_end = -1;
  if (groups == 0) return malformed(failure, "fields of FINGERPRINT");
  if (groups > BERTH_MESSAGE_BYTES_MAX / FINGERPRINT_BYTES) return malformed(failure, "too many groups of FINGERPRINT");
  int error = fork_with_pipe(report_fd, &child_end);
  if (error != 1) return error;
  begin_child(child_end);
  struct wire_writer prints = wire_writer_of(malloc(groups * FINGERPRINT_BYTES), groups * FINGERPRINT_BYTES);
  if (prints.bytes == NULL) _exit(1);
  fingerprint_take(request->body, length, &prints);
  wire_send(3, request->header.id, BERTH_MSG_FINGERPRINTS, prints.bytes, prints.length);
  _exit(0);
}

int job_start(const struct wire_inbox *request, int *report_fd, struct failure *failure) {
  switch (request->header.type) {
    case BERTH_MSG_START: return start(request, report_fd, failure);
    case BERTH_MSG_RUN: return run(request, report_fd, failure);
    case BERTH_MSG_UNPACK: return unpack(request, report_fd, failure);
    case BERTH_MSG_TAKE_FILES: return take_files(request, report_fd, failure);
    case BERTH_MSG_FINGERPRINT: return fingerprint(request, report_fd, failure);
    case BERTH_MSG_REMOVE_TREE: return remove_path(request, report_fd, failure);
    default: return malformed(failure, "unknown request");
  }
}

/* The service manager asks for the sender's unit by its pid: root may give the agent's in place of its own. */
static int send_as(pid_t pid, int fd, const struct sockaddr_un *address, socklen_t length, const char *text) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(struct ucred))];
  } control;
  struct ucred credentials = {.pid = pid, .uid = getuid(), .gid = getgid()};
  struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
  struct msghdr header = {.msg_name = (void *)(uintptr_t)address, .msg_namelen = length, .msg_iov = &part,
                          .msg_iovlen = 1};
  if (pid != 0) {
    memset(control.bytes, 0, sizeof control.bytes);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_CREDENTIALS;
    control.header.cmsg_len = CMSG_LEN(sizeof credentials);
    memcpy(CMSG_DATA(&control.header), &credentials, sizeof credentials);
    header.msg_control = control.bytes;
    header.msg_controllen = sizeof control.bytes;
  }
  return sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int job_notify(const struct wire_inbox *request, struct failure *failure) {
  struct wire_reader body = wire_reader_of(request->body, request->header.length);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const char *path = wire_string(&body);
  const char *text = wire_string(&body);
  size_t length = strlen(path);
  if (!wire_is_done(&body) || length == 0) return malformed(failure, "fields of NOTIFY");
  snprintf(failure->object, sizeof failure->object, "%s", path);
  if (length >= sizeof address.sun_path) return -ENAMETOOLONG;
  memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '@' ? 0 : 1));
  OWNED_FD fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  int error = send_as(getppid(), fd, &address, size, text);
  return error == -EPERM || error == -ESRCH ? send_as(0, fd, &address, size, text) : error;
}
