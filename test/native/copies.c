/* Both sides of a copy under sanitizers: a tree is sent and received, then archives that were damaged at random are
 * received, which may fail but must put nothing beside the destination. Arguments: seed, mutations, directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../runtime/native/copy-in.h"
#include "../../runtime/native/copy-out.h"
#include "../../runtime/native/remove-tree.h"
#include "check.h"

#define ARCHIVE_BYTES_MAX (1 << 20)
#define EXPECT(condition) CHECK(condition, "copy")

static uint8_t archive[ARCHIVE_BYTES_MAX];
static void put(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  EXPECT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  close(fd);
}

static void make_tree(void) {
  char name[256];
  memset(name, 'n', 200);
  memcpy(name, "from/sub/", 9);
  name[200] = '\0';
  EXPECT(mkdir("from", 0755) == 0 && mkdir("from/sub", 0700) == 0 && mkdir("outside", 0755) == 0);
  put("from/file", "content");
  put(name, "long");
  EXPECT(link("from/file", "from/sub/again") == 0 && symlink("../file", "from/sub/link") == 0);
  EXPECT(mkfifo("from/pipe", 0600) == 0);
}

static size_t send_tree(void) {
  struct copy_out_request request = {.root = -1, .path = "from", .name = ".", .bytes_max = 1 << 20, .entries_max = 100};
  struct failure failure = {0};
  int fd = open("archive", O_RDWR | O_CREAT | O_TRUNC, 0600);
  EXPECT(fd >= 0 && copy_out(&request, fd, &failure) == 0);
  EXPECT(lseek(fd, 0, SEEK_SET) == 0);
  ssize_t length = read(fd, archive, sizeof archive);
  close(fd);
  EXPECT(length > 0 && length % 512 == 0);
  return (size_t)length;
}

static int receive(size_t length, const char *path, uint32_t flags) {
  struct copy_in_request request = {.root = -1, .path = path, .name = "from", .flags = flags, .bytes_max = 1 << 20,
                                    .entries_max = 100, .mask = 022, .notes = open("/dev/null", O_WRONLY | O_CLOEXEC)};
  struct failure failure = {0};
  int fd = open("damaged", O_RDWR | O_CREAT | O_TRUNC, 0600);
  EXPECT(fd >= 0 && write(fd, archive, length) == (ssize_t)length && lseek(fd, 0, SEEK_SET) == 0);
  int result = copy_in(&request, fd, &failure);
  EXPECT(result == 0 || failure.detail[0] != '\0' || failure.error != 0);
  close(fd);
  close(request.notes);
  return result;
}

static void damage(size_t length, uint8_t *copy) {
  memcpy(archive, copy, length);
  for (uint32_t left = 1 + random_below(4); left > 0; left--) {
    size_t block = (random_below((uint32_t)(length / 512))) * 512;
    archive[block + random_below(512)] = (uint8_t)next_random();
    unsigned sum = 0;
    memset(archive + block + 148, ' ', 8);
    for (size_t i = 0; i < 512; i++) sum += archive[block + i];
    snprintf((char *)archive + block + 148, 7, "%06o", sum % 0777777);
  }
}

static void remove_tree_of(const char *path) {
  char object[256];
  EXPECT(remove_tree(path, object, sizeof object) == 0);
}

/* Names that lead out, in place of the first file's. */
static void test_leaving(size_t length, const uint8_t *copy) {
  static const char *const names[] = {"../outside/x", "sub/../../outside/x", "/../outside/x", "esc/x"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    memcpy(archive, copy, length);
    for (size_t block = 0; block < length; block += 512) {
      if (memcmp(archive + block + 257, "ustar", 5) != 0 || archive[block + 156] != '0') continue;
      unsigned sum = 0;
      memset(archive + block, 0, 100);
      snprintf((char *)archive + block, 100, "./%s", names[i]);
      memset(archive + block + 148, ' ', 8);
      for (size_t j = 0; j < 512; j++) sum += archive[block + j];
      snprintf((char *)archive + block + 148, 7, "%06o", sum);
      break;
    }
    EXPECT(mkdir("to", 0755) == 0 && symlink("../outside", "to/esc") == 0);
    EXPECT(receive(length, "to", BERTH_COPY_CONTENTS) < 0);
    EXPECT(rmdir("outside") == 0 && mkdir("outside", 0755) == 0);
    remove_tree_of("to");
  }
}

int main(int argc, char **argv) {
  static uint8_t sent[ARCHIVE_BYTES_MAX];
  EXPECT(argc == 4 && chdir(argv[3]) == 0);
  seed_random(argv[1]);
  make_tree();
  size_t length = send_tree();
  memcpy(sent, archive, length);
  EXPECT(receive(length, "whole", 0) == 0);
  EXPECT(system("diff -r --no-dereference from/sub whole/sub && cmp from/file whole/file") == 0);
  EXPECT(system("test from/file -ef from/sub/again && test whole/file -ef whole/sub/again") == 0);
  test_leaving(length, sent);
  for (long left = strtol(argv[2], NULL, 10) / 20; left > 0; left--) {
    damage(length, sent);
    EXPECT(mkdir("to", 0755) == 0);
    receive(length, "to", random_below(2) == 0 ? BERTH_COPY_CONTENTS : BERTH_COPY_EXTRACT);
    EXPECT(rmdir("outside") == 0 && mkdir("outside", 0755) == 0);
    remove_tree_of("to");
  }
  return report_checks("copies");
}
