#include "unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "layer-stream.h"
#include "layer-writer.h"
#include "one-client.h"
#include "protocol.h"
#include "wire.h"

#define UNPACKED_FIXED_BYTES 160

static int fail(struct failure *failure, const char *object, const char *detail) {
  failure->error = errno;
  snprintf(failure->object, sizeof failure->object, "%s", object);
  snprintf(failure->detail, sizeof failure->detail, "%s", detail);
  return -1;
}

/* Of root's rights: make nodes, set owners, modes and attributes anywhere in the tree. SYS_ADMIN: trusted.*. */
static const uint32_t kept_capabilities[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,   CAP_FSETID,
                                             CAP_MKNOD, CAP_SETFCAP,      CAP_SYS_ADMIN};

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

/* Places in one_client.fds. */
enum { ROOT, KEPT };

static int write_layer(struct layer_tree *tree, const struct layer_limits *limits, const struct layer_source *source,
                       struct layer_result *result, struct layer_origin *origin) {
  struct layer_stream stream;
  if (layer_stream_open(&stream, source, tree->failure) < 0) return -1;
  int done = layer_write(tree, stream.archive, limits, result);
  if (done == 0) done = layer_stream_end(&stream, origin, tree->failure);
  else layer_stream_explain(&stream, tree->failure);
  layer_stream_close(&stream);
  return done;
}

static int unpack(int client, const struct one_client *life, struct failure *failure) {
  static struct layer_tree tree;
  const struct unpack_request *request = life->context;
  struct layer_limits limits = {.id_base = request->id_base,
                                .bytes_max = request->bytes_max,
                                .entries_max = request->entries_max,
                                .end_may_lack = request->end_may_lack};
  struct layer_source source = request->source;
  struct layer_result result;
  struct layer_origin origin;
  size_t implied_bytes_max = BERTH_MESSAGE_BYTES_MAX - UNPACKED_FIXED_BYTES;
  source.sender = client;
  source.kept = life->fds[KEPT];
  int done = layer_tree_open(&tree, life->fds[ROOT], request->id_base, implied_bytes_max, failure);
  if (done == 0) done = write_layer(&tree, &limits, &source, &result, &origin);
  /* The store renames the layer into place next: its content has to be on the disk before its name is. */
  if (done == 0 && syncfs(tree.levels[0].fd) < 0)
    done = fail(failure, request->destination, "cannot write the layer to the disk");
  if (done == 0 && send_unpacked(client, life->request_id, &result, &origin, &tree.implied) < 0)
    done = fail(failure, request->destination, "cannot answer");
  layer_tree_close(&tree);
  return done;
}

static int prepare(const struct unpack_request *request, struct one_client *life, struct failure *failure) {
  life->fds[ROOT] = open(request->destination, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (life->fds[ROOT] < 0) return fail(failure, request->destination, "cannot open the destination");
  if (request->kept_path[0] == 0) return 0;
  life->fds[KEPT] = open(request->kept_path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  return life->fds[KEPT] < 0 ? fail(failure, request->kept_path, "cannot make the file") : 0;
}

int unpack_serve(struct unpack_request *request, int report_fd) {
  struct one_client life = {.socket_path = request->socket_path,
                            .request_id = request->request_id,
                            .object = request->destination,
                            .capabilities = kept_capabilities,
                            .capability_count = sizeof kept_capabilities / sizeof *kept_capabilities,
                            .fds = {-1, -1},
                            .work = unpack,
                            .context = request};
  struct failure failure = {.stage = BERTH_STAGE_UNPACK};
  signal(SIGPIPE, SIG_IGN);
  umask(0);
  if (prepare(request, &life, &failure) == 0) return one_client_serve(&life, report_fd);
  wire_send_failure(report_fd, request->request_id, &failure);
  return 1;
}
