/* Fuzzing: the reader of archives, with what unpacking does to names. */
#include <string.h>

#include "fuzz.h"
#include "../../runtime/native/layer-tree.h"
#include "../../runtime/native/tar-reader.h"

#define ARCHIVE_BYTES_MAX (1u << 20)

/* Pieces come in order and lie inside the file. */
static int read_content(struct tar_reader *reader, const struct tar_entry *entry) {
  struct tar_chunk chunk;
  uint64_t reached = 0;
  int got;
  while ((got = tar_next_chunk(reader, &chunk)) == 1) {
    MUST(chunk.length > 0 && chunk.offset >= reached);
    reached = chunk.offset + chunk.length;
    MUST(reached <= entry->size);
    volatile uint8_t seen = chunk.bytes[0] ^ chunk.bytes[chunk.length - 1];
    (void)seen;
  }
  return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct tar_reader reader;
  struct failure failure = {0};
  struct tar_entry entry;
  char clean[PATH_MAX];
  if (length < 1) return 0;
  int fd = fuzz_file(bytes + 1, length - 1);
  if (tar_open(&reader, fd, ARCHIVE_BYTES_MAX, &failure) == 0) {
    int got;
    while ((got = tar_next(&reader, &entry)) == 1) {
      MUST(strlen(entry.path) <= PATH_MAX && entry.mode <= 07777);
      if (layer_path_clean(entry.path, clean, &failure) == 0) {
        MUST(clean[0] != '/' && strstr(clean, "../") != clean && strstr(clean, "/../") == NULL);
      }
      for (size_t i = 0; i < entry.xattr_count; i++) MUST(strlen(entry.xattrs[i].name) > 0);
      /* Unpacking reads files, and skips what it does not want. */
      if (entry.kind == TAR_FILE && (bytes[0] & 1) == 0 && read_content(&reader, &entry) < 0) break;
    }
    MUST(got >= 0 || failure.error != 0 || failure.detail[0] != '\0');
    tar_close(&reader);
  }
  close(fd);
  return 0;
}
