/* Putting one mount in the place of another in a container that runs. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "in-root.h"
#include "kernel-abi.h"
#include "own-work.h"
#include "program.h"

static int check_mounted(struct program *program, int place) {
  struct statx found;
  if (statx(place, "", AT_EMPTY_PATH, 0, &found) < 0) return -errno;
  if ((found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0) return 0;
  program_detail(program, "nothing is mounted there any more");
  return -EINVAL;
}

/* umount2(2) takes no descriptor. The host's procfs names it: what a container mounts on its own /proc leads nowhere. */
static int take_away(int proc, int mount) {
  char path[32];
  snprintf(path, sizeof path, "self/fd/%d", mount);
  if (fchdir(proc) < 0) return -errno;
  int error = syscall(SYS_umount2, path, MNT_DETACH) < 0 ? -errno : 0;
  if (chdir("/") < 0 && error == 0) error = -errno;
  return error;
}

/* Nobody who opens the path finds nothing, or what lies below both mounts: the new one is put under the old one, which
 * then goes. Where the kernel cannot do that the new one covers the old one. */
int op_replace_mount(struct program *program, struct wire_reader *payload) {
  int mount = program_slot(program, wire_u32(payload));
  int proc = program_slot(program, wire_u32(payload));
  const char *path = wire_string(payload);
  if (mount < 0 || proc < 0) return program_fails(program, -EBADF, path);
  OWNED_FD place = in_root_open(program->root_fd, path);
  if (place < 0) return program_fails(program, place, path);
  int error = check_mounted(program, place);
  if (error < 0) return program_fails(program, error, path);
  if (sys_move_mount_beneath(mount, place) == 0) error = take_away(proc, place);
  else if (errno != EINVAL || sys_move_mount_fd(mount, place) < 0) error = -errno;
  return error < 0 ? program_fails(program, error, path) : 0;
}

int op_end(struct program *program, struct wire_reader *payload) {
  (void)payload;
  int error = own_work_begin(program);
  if (error < 0) return error;
  _exit(0);
}
