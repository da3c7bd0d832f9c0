#include "exit-record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "cleanup.h"

static uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct exit_status exit_status_of_child(pid_t pid) {
  struct exit_status status = {.known = false};
  int raw;
  pid_t ended;
  do {
    ended = waitpid(pid, &raw, __WALL);
  } while (ended < 0 && errno == EINTR);
  status.finished_at_ms = now_ms();
  if (ended != pid) return status;
  status.known = true;
  if (WIFSIGNALED(raw)) status.signal = (uint32_t)WTERMSIG(raw);
  else status.code = (uint32_t)WEXITSTATUS(raw);
  return status;
}

int exit_record_write(const struct place *place, const struct exit_status *status) {
  char text[128];
  char temporary[NAME_MAX + 1];
  int length = snprintf(text, sizeof text, "{\"known\":%s,\"code\":%u,\"signal\":%u,\"finishedAtMs\":%llu}\n",
                        status->known ? "true" : "false", status->code, status->signal,
                        (unsigned long long)status->finished_at_ms);
  if (snprintf(temporary, sizeof temporary, "%s.tmp", place->name) >= (int)sizeof temporary) return -ENAMETOOLONG;
  OWNED_FD fd = openat(place->directory, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return -errno;
  int error = wire_write_all(fd, text, (size_t)length);
  if (error < 0) return error;
  return renameat(place->directory, temporary, place->directory, place->name) < 0 ? -errno : 0;
}

void wire_put_exit(struct wire_writer *writer, const struct exit_status *status) {
  wire_put_u32(writer, status->known ? 1 : 0);
  wire_put_u32(writer, status->code);
  wire_put_u32(writer, status->signal);
  wire_put_u64(writer, status->finished_at_ms);
}
