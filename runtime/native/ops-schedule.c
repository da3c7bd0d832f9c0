/* How the kernel shares its time with the payload, and which kernel it shows: carried out by the init on itself. */
#include <errno.h>
#include <linux/ioprio.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "program.h"

/* struct sched_attr of sched_setattr(2), in the size of its first version. */
struct schedule {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
};

int op_scheduler(struct program *program, struct wire_reader *payload) {
  struct schedule schedule = {.size = sizeof schedule, .policy = wire_u32(payload)};
  schedule.flags = wire_u64(payload);
  schedule.nice = (int32_t)wire_u32(payload);
  schedule.priority = wire_u32(payload);
  schedule.runtime = wire_u64(payload);
  schedule.deadline = wire_u64(payload);
  schedule.period = wire_u64(payload);
  if (syscall(SYS_sched_setattr, 0, &schedule, 0) == 0) return 0;
  return program_fails(program, -errno, "of the process");
}

int op_io_priority(struct program *program, struct wire_reader *payload) {
  uint32_t class = wire_u32(payload);
  uint32_t priority = wire_u32(payload);
  if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(class, priority)) == 0) return 0;
  return program_fails(program, -errno, "of the process");
}

int op_affinity(struct program *program, struct wire_reader *payload) {
  uint32_t length;
  const uint8_t *cpus = wire_bytes(payload, &length);
  if (length == 0 || length % sizeof(unsigned long) != 0) return program_fails(program, -EINVAL, "CPUs of the process");
  if (syscall(SYS_sched_setaffinity, 0, (size_t)length, cpus) >= 0) return 0;
  return program_fails(program, -errno, "CPUs of the process");
}

int op_memory_policy(struct program *program, struct wire_reader *payload) {
  uint32_t mode = wire_u32(payload);
  uint32_t length;
  const uint8_t *nodes = wire_bytes(payload, &length);
  if (length % sizeof(unsigned long) != 0) return program_fails(program, -EINVAL, "memory nodes");
  /* The kernel reads one bit less than it is told. */
  unsigned long bits = length == 0 ? 0 : 8UL * length + 1;
  if (syscall(SYS_set_mempolicy, mode, length == 0 ? NULL : nodes, bits) == 0) return 0;
  return program_fails(program, -errno, "of the process");
}

int op_personality(struct program *program, struct wire_reader *payload) {
  return personality(wire_u32(payload)) < 0 ? program_fails(program, -errno, "of the process") : 0;
}
