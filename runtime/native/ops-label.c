/* What a security module of the kernel confines the payload by: set for the next exec of a process, by itself. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "program.h"

#define MODULE_APPARMOR 1

/* Two modules may be there at once: then attr/exec belongs to the one that came first. */
int op_child_label(struct program *program, struct wire_reader *payload) {
  uint32_t slot = wire_u32(payload);
  uint32_t module = wire_u32(payload);
  char path[64];
  int fd = -1;
  if (program->child == 0) return program_fails(program, -ESRCH, "label");
  snprintf(path, sizeof path, "/proc/%d/attr/apparmor/exec", program->child);
  if (module == MODULE_APPARMOR) fd = open(path, O_WRONLY | O_CLOEXEC);
  snprintf(path, sizeof path, "/proc/%d/attr/exec", program->child);
  if (fd < 0) fd = open(path, O_WRONLY | O_CLOEXEC);
  return fd < 0 ? program_fails(program, -errno, path) : program_fill_slot(program, slot, fd);
}

int op_label(struct program *program, struct wire_reader *payload) {
  int fd = program_slot(program, wire_u32(payload));
  const char *text = wire_string(payload);
  if (fd < 0) return program_fails(program, fd, text);
  if (write(fd, text, strlen(text)) == (ssize_t)strlen(text)) return 0;
  int error = -errno;
  if (error == -ENOENT || error == -EINVAL) program_detail(program, "the host has loaded nothing of that name");
  return program_fails(program, error, text);
}
