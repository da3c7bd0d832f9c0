/* Handing a terminal to whoever has asked for it. */
#ifndef BERTH_HANDOFF_H
#define BERTH_HANDOFF_H

#include <sys/types.h>

#include "wire.h"

/* A configuration's annotations and metadata are in it. */
#define HANDOFF_STATE_BYTES_MAX 1048576

/* 0 or -errno. Both descriptors stay the caller's. */
int handoff_terminal(int console_socket, int master);
/* `state` is the list of SECCOMP_AGENT; the descriptors stay the caller's. */
int handoff_listener(int agent, struct wire_reader state, pid_t pid, int listener);

#endif
