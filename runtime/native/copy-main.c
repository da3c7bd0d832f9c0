#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy-in.h"
#include "copy-out.h"
#include "copy-report.h"
#include "process.h"

#define FILE_CAPABILITIES                                                                                   \
  (1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_DAC_READ_SEARCH | 1ULL << CAP_FOWNER | \
   1ULL << CAP_FSETID)

void copy_report(int fd, const struct failure *failure) {
  char line[sizeof failure->object + sizeof failure->detail + 128];
  const char *object = failure->object[0] == '\0' ? "" : failure->object;
  const char *detail = failure->detail[0] == '\0' ? "it failed" : failure->detail;
  int length = snprintf(line, sizeof line, "cannot copy%s%s because %s", *object == '\0' ? "" : " ", object, detail);
  if (failure->error != 0 && failure->error != EBADMSG && failure->error != EFBIG)
    length += snprintf(line + length, sizeof line - (size_t)length, " (%s)", strerror(failure->error));
  for (int i = 0; i < length; i++)
    if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) line[i] = '?';
  line[length] = '\n';
  wire_write_all(fd, line, (size_t)length + 1);
}

/* follow, contents, keep ids; a dash for none of them. */
static uint32_t flags_of(const char *letters) {
  uint32_t flags = 0;
  if (strchr(letters, 'f') != NULL) flags |= BERTH_COPY_FOLLOW;
  if (strchr(letters, 'c') != NULL) flags |= BERTH_COPY_CONTENTS;
  if (strchr(letters, 'k') != NULL) flags |= BERTH_COPY_KEEP_IDS;
  return flags;
}

static int usage(void) {
  static const char text[] = "usage: berth-helper copy-out -|f BYTES ENTRIES PATH NAME\n"
                             "       berth-helper copy-in -|[c][k] BYTES ENTRIES PATH NAME\n";
  wire_write_all(2, text, sizeof text - 1);
  return 2;
}

int copy_main(int argc, char **argv) {
  struct failure failure = {0};
  if (argc != 7) return usage();
  uint32_t flags = flags_of(argv[2]), entries = (uint32_t)strtoul(argv[4], NULL, 10);
  uint64_t bytes = strtoull(argv[3], NULL, 10);
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  process_keep_only(FILE_CAPABILITIES);
  mode_t mask = umask(0);
  int result;
  if (strcmp(argv[1], "copy-out") == 0) {
    struct copy_out_request request = {.root = -1, .path = argv[5], .follow = (flags & BERTH_COPY_FOLLOW) != 0,
                                       .name = argv[6], .bytes_max = bytes, .entries_max = entries};
    result = copy_out(&request, 1, &failure);
  } else {
    struct copy_in_request request = {.root = -1, .path = argv[5], .name = argv[6], .flags = flags,
                                      .bytes_max = bytes, .entries_max = entries, .mask = mask, .notes = 2};
    result = copy_in(&request, 0, &failure);
  }
  if (result < 0) copy_report(2, &failure);
  return result < 0 ? 1 : 0;
}
