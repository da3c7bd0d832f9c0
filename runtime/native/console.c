/* The payload's terminal and session. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "channel.h"
#include "cleanup.h"
#include "in-root.h"
#include "kernel-abi.h"
#include "program.h"

/* The devpts that the init has mounted itself, and nothing that an image put in its place. */
static int open_multiplexer(const struct program *program) {
  struct statfs file_system;
  OWNED_FD master = in_root_open_for(program->root_fd, "/dev/pts/ptmx", O_RDWR | O_NOCTTY);
  if (master < 0) return master;
  if (fstatfs(master, &file_system) < 0) return -errno;
  return file_system.f_type == DEVPTS_SUPER_MAGIC ? steal_fd(&master) : -ENODEV;
}

/* TIOCGPTPEER opens the peer by the master, not by a name that could lead elsewhere. */
static int open_peer(int master) {
  int unlocked = 0;
  if (ioctl(master, TIOCSPTLCK, &unlocked) < 0) return -errno;
  int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return peer < 0 ? -errno : peer;
}

static int mount_on_console(const struct program *program, int peer) {
  OWNED_FD target = in_root_open_or_make(program->root_fd, "/dev/console", IN_ROOT_FILE, 0600);
  if (target < 0) return target;
  OWNED_FD tree = sys_open_tree(peer, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  if (tree < 0) return -errno;
  return sys_move_mount_fd(tree, target) < 0 ? -errno : 0;
}

static int hand_over(const struct program *program, int master) {
  struct channel_message message = {.kind = CHANNEL_TERMINAL, .fd_count = 1, .fds = {master}};
  return channel_send(program->channel, &message);
}

int op_tty(struct program *program, struct wire_reader *payload) {
  struct winsize size = {.ws_row = (unsigned short)wire_u32(payload)};
  size.ws_col = (unsigned short)wire_u32(payload);
  OWNED_FD master = open_multiplexer(program);
  if (master < 0) return program_fails(program, master, "/dev/pts/ptmx");
  OWNED_FD peer = open_peer(master);
  if (peer < 0) return program_fails(program, peer, "terminal");
  if (size.ws_row != 0 && size.ws_col != 0 && ioctl(peer, TIOCSWINSZ, &size) < 0) {
    return program_fails(program, -errno, "terminal size");
  }
  int error = program->is_first ? mount_on_console(program, peer) : 0;
  if (error < 0) return program_fails(program, error, "/dev/console");
  error = hand_over(program, master);
  if (error < 0) return program_fails(program, error, "terminal");
  for (int fd = 0; fd < 3; fd++) {
    if (dup2(peer, fd) < 0) return program_fails(program, -errno, "terminal");
  }
  program->has_terminal = true;
  return 0;
}

int op_session(struct program *program, struct wire_reader *payload) {
  (void)payload;
  if (setsid() < 0) return program_fails(program, -errno, "session");
  if (!program->has_terminal) return 0;
  return ioctl(0, TIOCSCTTY, 0) < 0 ? program_fails(program, -errno, "controlling terminal") : 0;
}
