/* Inflating: what others compressed comes out as it was, in small pieces too, and damaged copies never break it.
 * gzip SEED MUTATIONS DIRECTORY, which has files NAME.plain and NAME.gz */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../runtime/native/gunzip.h"
#include "check.h"

struct bytes {
  uint8_t *at;
  size_t length;
};

static struct bytes contents(int fd) {
  struct stat status;
  struct bytes read_bytes = {0};
  if (fd < 0 || fstat(fd, &status) < 0) return read_bytes;
  read_bytes.length = (size_t)status.st_size;
  read_bytes.at = malloc(read_bytes.length + 1);
  if (pread(fd, read_bytes.at, read_bytes.length, 0) != (ssize_t)read_bytes.length) abort();
  return read_bytes;
}

static int memory_of(struct bytes bytes) {
  int fd = memfd_create("gzip", MFD_CLOEXEC);
  if (fd < 0 || write(fd, bytes.at, bytes.length) != (ssize_t)bytes.length) abort();
  lseek(fd, 0, SEEK_SET);
  return fd;
}

static enum decode_end decode(int from, int to) {
  static struct inflate inflate;
  memset(&inflate, 0, sizeof inflate);
  inflate.dense_from = 64u << 20;
  inflate.ratio_max = 2000;
  inflate.input.fd = from;
  inflate.output.fd = to;
  return gunzip(&inflate);
}

static void check_same(struct bytes encoded, struct bytes plain, const char *name) {
  int from = memory_of(encoded), to = memfd_create("plain", MFD_CLOEXEC);
  CHECK(decode(from, to) == DECODE_DONE, name);
  struct bytes got = contents(to);
  CHECK(got.length == plain.length && memcmp(got.at, plain.at, plain.length) == 0, name);
  free(got.at);
  close(from);
  close(to);
}

/* Few bits of a copy are changed, or it is cut. */
static void check_damaged(struct bytes encoded, const char *name) {
  struct bytes copy = {malloc(encoded.length), encoded.length};
  memcpy(copy.at, encoded.at, copy.length);
  if (random_below(4) == 0) copy.length = random_below((uint32_t)copy.length);
  for (uint32_t left = copy.length > 0 ? random_below(4) : 0; left > 0; left--)
    copy.at[random_below((uint32_t)(random_below(2) ? copy.length : copy.length / 64 + 1))] ^= (uint8_t)(1u << random_below(8));
  bool is_same = copy.length == encoded.length && memcmp(copy.at, encoded.at, copy.length) == 0;
  int from = memory_of(copy), to = open("/dev/null", O_WRONLY | O_CLOEXEC);
  enum decode_end end = decode(from, to);
  /* Some bits of a header say nothing of the content. */
  CHECK(is_same ? end == DECODE_DONE : end <= DECODE_TOO_DENSE, name);
  if (copy.length < encoded.length) CHECK(end != DECODE_DONE, name);
  free(copy.at);
  close(from);
  close(to);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  seed_random(argv[1]);
  int directory = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *listing = fdopendir(directory);
  for (struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;) {
    char name[300];
    char *dot = strrchr(entry->d_name, '.');
    if (dot == NULL || strcmp(dot, ".gz") != 0) continue;
    snprintf(name, sizeof name, "%.*s.plain", (int)(dot - entry->d_name), entry->d_name);
    int encoded_fd = openat(directory, entry->d_name, O_RDONLY | O_CLOEXEC), plain_fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    struct bytes encoded = contents(encoded_fd), plain = contents(plain_fd);
    check_same(encoded, plain, entry->d_name);
    for (int count = atoi(argv[2]); count > 0; count--) check_damaged(encoded, entry->d_name);
    free(encoded.at);
    free(plain.at);
    close(encoded_fd);
    close(plain_fd);
  }
  closedir(listing);
  return report_checks("gzip");
}
