/* Capabilities and descriptors of the process that is about to become the payload, or its reaper. */
#ifndef BERTH_PROCESS_H
#define BERTH_PROCESS_H

#include <stdint.h>

#include "program.h"

struct capability_sets {
  uint64_t bounding;
  uint64_t permitted;
  uint64_t effective;
  uint64_t inheritable;
  uint64_t ambient;
};

/* Sets all five, dropping from the bounding set first, which needs CAP_SETPCAP. Returns 0 or -errno. */
int process_set_capabilities(const struct capability_sets *sets);
/* Makes every permitted capability effective. Returns 0 or -errno. */
int process_raise_permitted(void);
/* Gives up every capability but those of the mask, which it keeps if it has them. */
void process_keep_only(uint64_t mask);
/* Every descriptor but 0, 1 and 2 closes on exec, whoever opened it. Returns 0 or -errno. */
int process_seal_descriptors(struct program *program);
/* Default dispositions for every signal and none blocked. */
void process_reset_signals(void);

#endif
