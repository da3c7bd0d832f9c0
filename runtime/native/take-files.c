#include "take-files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "one-client.h"
#include "protocol.h"
#include "tar-reader.h"
#include "wire.h"

#define TAKEN_FIXED_BYTES 128

struct taker {
  const struct take_request *request;
  int client;
  int directory;
  struct tar_reader reader;
  struct failure *failure;
  uint32_t entries;
  uint32_t files;
  uint64_t bytes;
};

struct taken {
  uint32_t kind;
  uint32_t number;
  uint64_t bytes;
  uint8_t digest[SHA256_BYTES];
};

static int fail(struct taker *taker, int error, const char *detail) {
  taker->failure->error = error;
  snprintf(taker->failure->detail, sizeof taker->failure->detail, "%s", detail);
  return -1;
}

static int tell(struct taker *taker, const struct tar_entry *entry, const struct taken *taken) {
  uint8_t body[TAKEN_FIXED_BYTES + 2 * PATH_MAX];
  struct wire_writer writer = wire_writer_of(body, sizeof body);
  wire_put_u32(&writer, taken->kind);
  wire_put_string(&writer, entry->path);
  wire_put_string(&writer, taken->kind == BERTH_TAKEN_FILE ? "" : entry->target);
  wire_put_u32(&writer, taken->number);
  wire_put_u64(&writer, taken->bytes);
  wire_put_bytes(&writer, taken->digest, sizeof taken->digest);
  if (writer.overflow) return fail(taker, ENAMETOOLONG, "a name in the archive is too long");
  int error = wire_send(taker->client, taker->request->request_id, BERTH_MSG_FILE_TAKEN, body, writer.length);
  return error < 0 ? fail(taker, -error, "cannot answer") : 0;
}

static int write_content(struct taker *taker, int fd, uint8_t digest[SHA256_BYTES]) {
  struct tar_chunk chunk;
  struct sha256 hash;
  int got;
  sha256_begin(&hash);
  while ((got = tar_next_chunk(&taker->reader, &chunk)) > 0) {
    sha256_add(&hash, chunk.bytes, chunk.length);
    int error = wire_write_all(fd, chunk.bytes, chunk.length);
    if (error < 0) return fail(taker, -error, "cannot write its content");
  }
  if (got < 0) return -1;
  sha256_end(&hash, digest);
  return fsync(fd) < 0 ? fail(taker, errno, "cannot write it to the disk") : 0;
}

static int take_file(struct taker *taker, const struct tar_entry *entry) {
  struct taken taken = {.kind = BERTH_TAKEN_FILE, .number = taker->files++, .bytes = entry->size};
  char name[16];
  if (entry->sparse) return fail(taker, EOPNOTSUPP, "it is stored with holes");
  if (__builtin_add_overflow(taker->bytes, entry->size, &taker->bytes) || taker->bytes > taker->request->bytes_max)
    return fail(taker, EFBIG, "the archive's files are larger than is allowed");
  snprintf(name, sizeof name, "%u", taken.number);
  OWNED_FD fd = openat(taker->directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return fail(taker, errno, "cannot make a file for it");
  return write_content(taker, fd, taken.digest) < 0 ? -1 : tell(taker, entry, &taken);
}

static int take_entry(struct taker *taker, const struct tar_entry *entry) {
  struct taken link = {.kind = entry->kind == TAR_SYMLINK ? BERTH_TAKEN_SYMLINK : BERTH_TAKEN_HARD_LINK};
  if (++taker->entries > taker->request->entries_max) return fail(taker, EFBIG, "the archive has too many entries");
  switch (entry->kind) {
    case TAR_FILE: return take_file(taker, entry);
    case TAR_HARD_LINK:
    case TAR_SYMLINK: return tell(taker, entry, &link);
    case TAR_DIRECTORY: return 0;
    case TAR_CHARACTER_DEVICE:
    case TAR_BLOCK_DEVICE:
    case TAR_FIFO:
    default: return fail(taker, EBADMSG, "it is neither a file nor a directory nor a link");
  }
}

/* Headers, names and padding come on top of the files. */
static uint64_t archive_bytes_max(const struct take_request *request) {
  uint64_t overhead = (64u << 20) + (uint64_t)request->entries_max * 4096, sum;
  return __builtin_add_overflow(request->bytes_max, overhead, &sum) ? UINT64_MAX : sum;
}

static int take_all(struct taker *taker, int archive) {
  struct tar_entry entry;
  if (tar_open(&taker->reader, archive, archive_bytes_max(taker->request), taker->failure) < 0) return -1;
  int got;
  while ((got = tar_next(&taker->reader, &entry)) > 0)
    if (take_entry(taker, &entry) < 0) break;
  tar_close(&taker->reader);
  return got == 0 ? 0 : -1;
}

static int take(int client, const struct one_client *life, struct failure *failure) {
  const struct take_request *request = life->context;
  struct taker taker = {.request = request, .client = client, .directory = life->fds[0], .failure = failure};
  struct layer_source source = request->source;
  struct layer_stream stream;
  struct layer_origin origin;
  source.sender = client;
  if (layer_stream_open(&stream, &source, failure) < 0) return -1;
  int done = take_all(&taker, stream.archive);
  if (done == 0) done = layer_stream_end(&stream, &origin, failure);
  else layer_stream_explain(&stream, failure);
  layer_stream_close(&stream);
  if (done == 0 && fsync(taker.directory) < 0) done = fail(&taker, errno, "cannot write the files to the disk");
  int error = done == 0 ? wire_send(client, life->request_id, BERTH_MSG_DONE, NULL, 0) : 0;
  return error < 0 ? fail(&taker, -error, "cannot answer") : done;
}

int take_files_serve(struct take_request *request, int report_fd) {
  struct one_client life = {.socket_path = request->socket_path,
                            .request_id = request->request_id,
                            .object = request->destination,
                            .fds = {open(request->destination, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), -1},
                            .work = take,
                            .context = request};
  signal(SIGPIPE, SIG_IGN);
  if (life.fds[0] >= 0) return one_client_serve(&life, report_fd);
  struct failure failure = {.stage = BERTH_STAGE_UNPACK, .error = errno, .detail = "cannot open the destination"};
  snprintf(failure.object, sizeof failure.object, "%s", request->destination);
  wire_send_failure(report_fd, request->request_id, &failure);
  return 1;
}
