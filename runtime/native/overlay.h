/* Overlays on kernels whose overlay takes layers only by name, and only from mounts of the caller's namespace: those
 * before Linux 6.15. */
#ifndef BERTH_OVERLAY_H
#define BERTH_OVERLAY_H

#include <stdint.h>

#include "program.h"

/*
 * Makes the overlay that the parameters of an FSOPEN describe. Their descriptors refer to detached mounts, or to a
 * directory right below the root of one. Those mounts are used up. Returns the overlay as a detached mount or -errno.
 */
int overlay_by_name(struct program *program, struct wire_reader parameters, uint32_t count, uint64_t attributes);

#endif
