/* How a process ended, and the file that tells it to an agent that was not there. */
#ifndef BERTH_EXIT_RECORD_H
#define BERTH_EXIT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "place.h"
#include "wire.h"

struct exit_status {
  bool known;       /* false: the status was lost; code and signal then say nothing */
  uint32_t code;
  uint32_t signal;  /* 0: it exited by itself */
  uint64_t finished_at_ms;
};

/* Waits for a child that has ended, or is about to. */
struct exit_status exit_status_of_child(pid_t pid);
/* Replaces the file in one step. 0 or -errno. */
int exit_record_write(const struct place *place, const struct exit_status *status);
/* The body of BERTH_MSG_EXITED. */
void wire_put_exit(struct wire_writer *writer, const struct exit_status *status);

#endif
