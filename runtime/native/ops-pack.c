/* Reading a tree out as an archive. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cleanup.h"
#include "layer-pack.h"
#include "program.h"

static int connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  if (length >= sizeof address.sun_path) return -ENAMETOOLONG;
  memcpy(address.sun_path, path, length + 1);
  OWNED_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) return -errno;
  return steal_fd(&fd);
}

int op_pack(struct program *program, struct wire_reader *payload) {
  struct layer_pack_request request = {.root = program_slot(program, wire_u32(payload))};
  request.is_changes = (wire_u32(payload) & BERTH_PACK_CHANGES) != 0;
  request.id_base = wire_u32(payload);
  request.bytes_max = wire_u64(payload);
  request.entries_max = wire_u32(payload);
  const char *path = wire_string(payload);
  if (request.root < 0) return program_fails(program, request.root, "directory");
  /* Who reads may go away at any time: that is an error to tell, not an end. */
  signal(SIGPIPE, SIG_IGN);
  OWNED_FD socket = connect_to(path);
  if (socket < 0) return program_fails(program, socket, path);
  return layer_pack(&request, socket, &program->failure) < 0 ? -program->failure.error : 0;
}
