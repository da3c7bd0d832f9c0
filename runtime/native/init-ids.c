#include "init-ids.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cleanup.h"

int become_namespace_root(void) {
  if (geteuid() == 0) return setgroups(0, NULL) < 0 ? -errno : 0;
  if (setresgid(0, 0, 0) < 0 || setgroups(0, NULL) < 0) return errno == EINVAL ? 0 : -errno;
  if (setresuid(0, 0, 0) < 0) return errno == EINVAL ? 0 : -errno;
  /* The change of ids has reset it to fs.suid_dumpable. */
  prctl(PR_SET_DUMPABLE, 0);
  return 0;
}

static bool is_null_device(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

int reopen_null_stdio(void) {
  for (int fd = 0; fd < 3; fd++) {
    if (!is_null_device(fd)) continue;
    OWNED_FD ours = open("/dev/null", (fd == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (ours < 0 || !is_null_device(ours)) continue;
    if (fcntl(ours, F_SETFL, 0) < 0 || dup2(ours, fd) < 0) return -errno;
  }
  return 0;
}
