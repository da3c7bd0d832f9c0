#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "kernel-abi.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* MFD_EXEC is needed from 6.3 on where vm.memfd_noexec asks for it, and unknown before. */
static int make_memory_file(void) {
  int fd = memfd_create("berth-helper", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  return fd < 0 && errno == EINVAL ? memfd_create("berth-helper", MFD_CLOEXEC | MFD_ALLOW_SEALING) : fd;
}

static int copy_whole(int from, int to) {
  struct stat status;
  if (fstat(from, &status) < 0) return -errno;
  for (off_t left = status.st_size; left > 0;) {
    ssize_t copied = sendfile(to, from, NULL, (size_t)left);
    if (copied < 0 && errno == EINTR) continue;
    if (copied <= 0) return copied < 0 ? -errno : -EIO;
    left -= copied;
  }
  return 0;
}

int seal_self(const char *mode) {
  /* Neither the environment nor the path on the host is a container's to read from its PID 1. */
  char *const arguments[] = {"berth-helper", (char *)(uintptr_t)mode, NULL};
  static char *const empty_environment[] = {NULL};
  OWNED_FD self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (self < 0) return -errno;
  int seals = fcntl(self, F_GET_SEALS);
  if (seals >= 0 && (seals & SEALS) == SEALS) return 0;
  OWNED_FD copy = make_memory_file();
  if (copy < 0) return -errno;
  int error = copy_whole(self, copy);
  if (error < 0) return error;
  if (fcntl(copy, F_ADD_SEALS, SEALS) < 0) return -errno;
  syscall(SYS_execveat, copy, "", arguments, empty_environment, AT_EMPTY_PATH);
  return -errno;
}
