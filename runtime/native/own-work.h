/* A process that has joined a container and becomes no program: it copies, or carries bytes to a port. */
#ifndef BERTH_OWN_WORK_H
#define BERTH_OWN_WORK_H

#include "program.h"

/* Says that it has started, and closes all descriptors but its pipes and the container's root. 0, or -errno before
 * it has said so. */
int own_work_begin(struct program *program);

#endif
