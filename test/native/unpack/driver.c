/* Drives the tar reader, the tree removal and the unpack service from a shell.
 *
 *     driver unpack DIR ID_BASE BYTES_MAX ENTRIES_MAX    the archive comes on stdin
 *                                                        END_MAY_LACK=1: its end may be missing, here and below
 *     driver serve DIR ID_BASE BYTES_MAX ENTRIES_MAX     the same through the service and its socket
 *     driver gzip|zstd DIR ID_BASE BYTES_MAX ENTRIES_MAX the same, compressed; what came is kept as DIR.kept
 *     driver pack DIR ID_BASE [changes]                  the archive goes to stdout
 *     driver remove PATH
 *     driver deep PATH N                                 makes directories in each other, a file in each
 *     driver mutate DIR SEED COUNT FILE...               unpacks damaged copies of the archives
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../runtime/native/layer-pack.h"
#include "../../../runtime/native/layer-writer.h"
#include "../../../runtime/native/protocol.h"
#include "../../../runtime/native/remove-tree.h"
#include "../../../runtime/native/unpack.h"

static int print_failure(const struct failure *failure) {
  const char *name = strerrorname_np(failure->error);
  printf("error %s [%s] %s\n", name ? name : "0", failure->object, failure->detail);
  return 1;
}

static int unpack_from(int source, const char *directory, const struct layer_limits *limits, int quiet) {
  static struct layer_tree tree;
  struct failure failure = {0};
  struct layer_result result;
  int root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) {
    perror(directory);
    return 2;
  }
  umask(0);
  int done = layer_tree_open(&tree, root, limits->id_base, 1 << 20, &failure);
  if (done == 0) done = layer_write(&tree, source, limits, &result);
  if (done == 0 && !quiet) {
    printf("content %llu entries %u archive %llu\n", (unsigned long long)result.content_bytes,
           result.entries, (unsigned long long)result.archive_bytes);
    for (size_t i = 0; i < tree.implied.capacity; i++)
      if (tree.implied.slots[i]) printf("implied %s\n", tree.implied.slots[i]);
  }
  layer_tree_close(&tree);
  return done == 0 ? 0 : quiet ? 1 : print_failure(&failure);
}

static struct layer_limits limits_of(char **argv) {
  return (struct layer_limits){.id_base = (uint32_t)strtoul(argv[0], NULL, 10),
                               .bytes_max = strtoull(argv[1], NULL, 10),
                               .entries_max = (uint32_t)strtoul(argv[2], NULL, 10),
                               .end_may_lack = getenv("END_MAY_LACK") != NULL};
}

static void print_digest(const char *what, struct wire_reader *reader) {
  uint32_t length = 0;
  const uint8_t *digest = wire_bytes(reader, &length);
  printf("%s sha256 ", what);
  for (uint32_t i = 0; i < length; i++) printf("%02x", digest[i]);
  printf("\n");
}

/* Prints one message of the service; its type, or -1 at the end of the stream. */
static int print_message(int fd) {
  struct wire_inbox inbox = {0};
  int got = wire_inbox_read(&inbox, fd), type = inbox.header.type;
  if (got != 1) return -1;
  struct wire_reader reader = wire_reader_of(inbox.body, inbox.header.length);
  if (type == BERTH_MSG_DONE) printf("done %u\n", inbox.header.id);
  if (type == BERTH_MSG_UNPACKED) {
    unsigned long long content = wire_u64(&reader), entries = wire_u32(&reader), archive = wire_u64(&reader);
    printf("content %llu entries %llu archive %llu\n", content, entries, archive);
    print_digest("archive", &reader);
    printf("sent %llu\n", (unsigned long long)wire_u64(&reader));
    print_digest("sent", &reader);
    for (uint32_t count = wire_u32(&reader); count > 0 && !reader.broken; count--)
      printf("implied %s\n", wire_string(&reader));
  }
  if (type == BERTH_MSG_ERROR) {
    struct failure failure = {0};
    wire_u32(&reader), wire_u32(&reader);
    failure.error = (int)wire_u32(&reader);
    snprintf(failure.object, sizeof failure.object, "%s", wire_string(&reader));
    snprintf(failure.detail, sizeof failure.detail, "%s", wire_string(&reader));
    print_failure(&failure);
  }
  if (type != BERTH_MSG_DONE && !wire_is_done(&reader)) printf("the message is malformed\n");
  wire_inbox_clear(&inbox);
  return type;
}

/* The client's part: stdin to the socket, then the answer. */
static int send_archive(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    perror(path);
    return 2;
  }
  static char chunk[1 << 18];
  ssize_t got;
  while ((got = read(STDIN_FILENO, chunk, sizeof chunk)) > 0) {
    size_t done = 0;
    while (done < (size_t)got) {
      ssize_t put = send(fd, chunk + done, (size_t)got - done, MSG_NOSIGNAL);
      if (put < 0) break;
      done += (size_t)put;
    }
    if (done < (size_t)got) break;
  }
  shutdown(fd, SHUT_WR);
  int type = print_message(fd);
  if (print_message(fd) != -1) printf("a second answer came\n");
  return type == BERTH_MSG_UNPACKED ? 0 : 1;
}

static int serve(char **argv, uint32_t encoding) {
  char path[108], kept[108] = "";
  int report[2];
  struct layer_limits limits = limits_of(argv + 1);
  struct unpack_request request = {.socket_path = path, .destination = argv[0], .id_base = limits.id_base,
                                   .bytes_max = limits.bytes_max, .entries_max = limits.entries_max,
                                   .end_may_lack = limits.end_may_lack,
                                   .request_id = 77, .kept_path = kept,
                                   .source = {.sender = -1, .has_keeper = true, .kept = -1, .encoding = encoding,
                                              .dense_from = 32 << 20, .ratio_max = 300}};
  snprintf(path, sizeof path, "%s.socket", argv[0]);
  if (encoding != BERTH_ENCODING_NONE) snprintf(kept, sizeof kept, "%s.kept", argv[0]);
  if (pipe2(report, O_CLOEXEC) < 0) return 2;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(unpack_serve(&request, report[1]));
  close(report[1]);
  if (print_message(report[0]) != BERTH_MSG_DONE) return 1;
  struct stat socket_status;
  if (stat(path, &socket_status) < 0 || (socket_status.st_mode & 0777) != 0600) printf("the socket is not private\n");
  int status, result = send_archive(path);
  waitpid(child, &status, 0);
  if (access(path, F_OK) == 0) printf("the socket was left behind\n");
  if (WEXITSTATUS(status) != (result ? 1 : 0) || !WIFEXITED(status)) printf("the service ended with %d\n", status);
  return result;
}

static int remove_path(const char *path) {
  char object[4096] = "";
  if (remove_tree(path, object, sizeof object) == 0) return 0;
  printf("error %s [%s]\n", strerrorname_np(errno), object);
  return 1;
}

static int make_deep(const char *path, long depth) {
  int at = mkdir(path, 0755) < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (; at >= 0 && depth > 0; depth--) {
    int next = mkdirat(at, "d", 0755) < 0 ? -1 : openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(openat(at, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    close(at);
    at = next;
  }
  return at < 0 ? 1 : close(at);
}

static unsigned long long random_state;

static unsigned int next_random(unsigned int below) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (unsigned int)(random_state >> 33) % below;
}

static void fix_checksum(unsigned char *header) {
  unsigned int sum = 0;
  memset(header + 148, ' ', 8);
  for (int i = 0; i < 512; i++) sum += header[i];
  snprintf((char *)header + 148, 8, "%06o", sum);
}

/* Mostly small damage to headers that still have a right sum, so that it reaches the code behind the check. */
static void damage(unsigned char *bytes, size_t length) {
  static const char interesting[] = "\0\377\200 /.0179xgLKS5\n=,%";
  for (unsigned int count = 1 + next_random(4); count > 0; count--) {
    size_t block = next_random((unsigned int)(length / 512)) * (size_t)512;
    size_t at = block + next_random(512);
    switch (next_random(4)) {
      case 0: bytes[at] = (unsigned char)next_random(256); break;
      case 1: bytes[at] = (unsigned char)interesting[next_random(sizeof interesting)]; break;
      case 2: bytes[block + 156] = (unsigned char)"0123456xgLKSD"[next_random(13)]; break;
      default: memmove(bytes + block, bytes + next_random((unsigned int)(length / 512)) * (size_t)512, 512); break;
    }
    if (next_random(8) > 0) fix_checksum(bytes + block);
  }
}

static int mutate(int argc, char **argv) {
  struct layer_limits limits = {.id_base = 100000, .bytes_max = 64 << 20, .entries_max = 5000};
  unsigned long long seed = strtoull(argv[1], NULL, 10), unpacked = 0, refused = 0;
  for (unsigned long i = 0, count = strtoul(argv[2], NULL, 10); i < count; i++) {
    char directory[4096];
    struct stat status;
    random_state = (seed + i) * 2654435761u + 1;
    int original = open(argv[3 + i % (unsigned long)(argc - 3)], O_RDONLY | O_CLOEXEC);
    if (original < 0 || fstat(original, &status) < 0 || status.st_size < 1024) return 2;
    size_t length = (size_t)status.st_size;
    int memory = memfd_create("archive", MFD_CLOEXEC);
    unsigned char *bytes = malloc(length);
    if (!bytes || read(original, bytes, length) != (ssize_t)length) return 2;
    damage(bytes, length);
    if (next_random(16) == 0) length = next_random((unsigned int)length);
    if (write(memory, bytes, length) != (ssize_t)length || lseek(memory, 0, SEEK_SET) < 0) return 2;
    snprintf(directory, sizeof directory, "%s/layer", argv[0]);
    if (mkdir(directory, 0700) < 0) return 2;
    if (unpack_from(memory, directory, &limits, 1) == 0) unpacked++;
    else refused++;
    if (remove_path(directory) != 0) return 2;
    close(memory);
    close(original);
    free(bytes);
  }
  printf("seed %llu: %llu unpacked, %llu refused\n", seed, unpacked, refused);
  return 0;
}

static int pack(const char *directory, const char *id_base, bool is_changes) {
  struct failure failure = {0};
  struct layer_pack_request request = {.root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                       .is_changes = is_changes,
                                       .id_base = (uint32_t)strtoul(id_base, NULL, 10),
                                       .bytes_max = 1u << 30,
                                       .entries_max = 100000};
  int result = layer_pack(&request, STDOUT_FILENO, &failure);
  if (result < 0) fprintf(stderr, "error %s [%s] %s\n", strerrorname_np(failure.error), failure.object, failure.detail);
  close(request.root);
  return result < 0 ? 1 : 0;
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc == 6 && strcmp(argv[1], "unpack") == 0) {
    struct layer_limits limits = limits_of(argv + 3);
    return unpack_from(STDIN_FILENO, argv[2], &limits, 0);
  }
  if (argc == 6 && strcmp(argv[1], "serve") == 0) return serve(argv + 2, BERTH_ENCODING_NONE);
  if (argc == 6 && strcmp(argv[1], "gzip") == 0) return serve(argv + 2, BERTH_ENCODING_GZIP);
  if (argc == 6 && strcmp(argv[1], "zstd") == 0) return serve(argv + 2, BERTH_ENCODING_ZSTD);
  if ((argc == 4 || argc == 5) && strcmp(argv[1], "pack") == 0) return pack(argv[2], argv[3], argc == 5);
  if (argc == 3 && strcmp(argv[1], "remove") == 0) return remove_path(argv[2]);
  if (argc == 4 && strcmp(argv[1], "deep") == 0) return make_deep(argv[2], atol(argv[3]));
  if (argc > 5 && strcmp(argv[1], "mutate") == 0) return mutate(argc - 2, argv + 2);
  fprintf(stderr, "usage: driver unpack|serve|remove|mutate ...\n");
  return 2;
}
