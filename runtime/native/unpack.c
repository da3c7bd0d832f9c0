#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "layer-stream.h"
#include "layer-writer.h"
#include "protocol.h"
#include "wire.h"

#define CONNECT_TIMEOUT_MS 60000
#define LINGER_TIMEOUT_MS 5000
#define UNPACKED_FIXED_BYTES 160

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

/* Of root's rights: make nodes, set owners, modes and attributes anywhere in the tree. SYS_ADMIN: trusted.*. */
static int drop_capabilities(void) {
  static const uint32_t kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,   CAP_FSETID,
                                  CAP_MKNOD, CAP_SETFCAP,      CAP_SYS_ADMIN};
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) data[kept[i] / 32].permitted |= 1u << kept[i] % 32;
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

static int send_unpacked(int client, uint32_t id, const struct layer_result *result,
                         const struct layer_origin *origin, const struct name_set *implied) {
  size_t capacity = UNPACKED_FIXED_BYTES + implied->bytes;
  uint8_t *body = malloc(capacity);
  if (body == NULL) return -ENOMEM;
  struct wire_writer writer = wire_writer_of(body, capacity);
  wire_put_u64(&writer, result->content_bytes);
  wire_put_u32(&writer, result->entries);
  wire_put_u64(&writer, result->archive_bytes);
  wire_put_bytes(&writer, result->digest, sizeof result->digest);
  wire_put_u64(&writer, origin->bytes);
  wire_put_bytes(&writer, origin->digest, sizeof origin->digest);
  wire_put_u32(&writer, (uint32_t)implied->count);
  for (size_t i = 0; i < implied->capacity; i++)
    if (implied->slots[i] != NULL) wire_put_string(&writer, implied->slots[i]);
  int error = writer.overflow ? -EMSGSIZE : wire_send(client, id, BERTH_MSG_UNPACKED, body, writer.length);
  free(body);
  return error;
}

/* What is open while a layer is made. */
struct work {
  int root;
  int kept; /* -1: nothing is kept */
  int listener;
};

/* An archive that ends too early did so because of who brings it, who knows more. */
static int write_layer(struct layer_tree *tree, const struct layer_limits *limits, const struct layer_source *source,
                       struct layer_result *result, struct layer_origin *origin) {
  struct layer_stream stream;
  if (layer_stream_open(&stream, source, tree->failure) < 0) return -1;
  int done = layer_write(tree, stream.archive, limits, result);
  if (done == 0) {
    done = layer_stream_end(&stream, origin, tree->failure);
  } else if (tree->failure->error == ENODATA) {
    struct failure earlier = {0};
    if (layer_stream_end(&stream, origin, &earlier) < 0) {
      tree->failure->error = earlier.error;
      memcpy(tree->failure->detail, earlier.detail, sizeof earlier.detail);
    }
  }
  layer_stream_close(&stream);
  return done;
}

static int unpack(int client, struct work *work, const struct unpack_request *request, struct failure *failure) {
  static struct layer_tree tree;
  struct layer_limits limits = {.id_base = request->id_base,
                                .bytes_max = request->bytes_max,
                                .entries_max = request->entries_max};
  struct layer_source source = {.sender = client,
                                .kept = work->kept,
                                .encoding = request->encoding,
                                .dense_from = request->dense_from,
                                .ratio_max = request->ratio_max};
  struct layer_result result;
  struct layer_origin origin;
  size_t implied_bytes_max = BERTH_MESSAGE_BYTES_MAX - UNPACKED_FIXED_BYTES;
  int done = layer_tree_open(&tree, steal_fd(&work->root), request->id_base, implied_bytes_max, failure);
  if (done == 0) done = write_layer(&tree, &limits, &source, &result, &origin);
  /* The store renames the layer into place next: its content has to be on the disk before its name is. */
  if (done == 0 && syncfs(tree.levels[0].fd) < 0)
    done = fail(failure, request->destination, "cannot write the layer to the disk");
  if (done == 0 && send_unpacked(client, request->request_id, &result, &origin, &tree.implied) < 0)
    done = fail(failure, request->destination, "cannot answer");
  layer_tree_close(&tree);
  return done;
}

/* A close with bytes unread would reset the connection under the answer: the client gets a moment to see it. */
static void linger(int client) {
  static uint8_t nowhere[65536];
  int64_t deadline = now_ms() + LINGER_TIMEOUT_MS;
  shutdown(client, SHUT_WR);
  while (wait_until(client, deadline) > 0 && read(client, nowhere, sizeof nowhere) > 0) continue;
}

static int prepare(const struct unpack_request *request, struct work *work, struct failure *failure) {
  work->root = open(request->destination, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (work->root < 0) return fail(failure, request->destination, "cannot open the destination");
  if (request->kept_path[0] != 0) {
    work->kept = open(request->kept_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (work->kept < 0) return fail(failure, request->kept_path, "cannot make the file");
  }
  work->listener = listen_at(request->socket_path, failure);
  if (work->listener < 0) return -1;
  if (drop_capabilities() == 0) return 0;
  fail(failure, request->destination, "cannot give up capabilities");
  unlink(request->socket_path);
  return -1;
}

static int serve(struct work *work, const struct unpack_request *request, int report_fd) {
  struct failure failure = {.stage = BERTH_STAGE_UNPACK};
  if (prepare(request, work, &failure) < 0) {
    wire_send_failure(report_fd, request->request_id, &failure);
    close(report_fd);
    return 1;
  }
  wire_send(report_fd, request->request_id, BERTH_MSG_DONE, NULL, 0);
  if (close_all_but((const int[]){work->root, work->kept, work->listener}, 3) < 0) {
    unlink(request->socket_path);
    return 1;
  }
  OWNED_FD client = accept_client(work->listener);
  unlink(request->socket_path);
  drop_fd(&work->listener);
  if (client < 0) return 1;
  int done = unpack(client, work, request, &failure);
  failure.stage = BERTH_STAGE_UNPACK;
  if (done < 0) wire_send_failure(client, request->request_id, &failure);
  linger(client);
  return done == 0 ? 0 : 1;
}

int unpack_serve(const struct unpack_request *request, int report_fd) {
  struct work work = {.root = -1, .kept = -1, .listener = -1};
  signal(SIGPIPE, SIG_IGN);
  umask(0);
  int status = serve(&work, request, report_fd);
  drop_fd(&work.root);
  drop_fd(&work.kept);
  drop_fd(&work.listener);
  return status;
}
