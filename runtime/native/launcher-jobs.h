/* What the children of the launcher do. Each answers through a pipe of its own and ends. */
#ifndef BERTH_LAUNCHER_JOBS_H
#define BERTH_LAUNCHER_JOBS_H

#include "wire.h"

/* Carries out the request in a child whose answers come from *report_fd. 0, or -errno (-EBADMSG: not a request, with
 * `failure` saying why) when there is no child. */
int job_start(const struct wire_inbox *request, int *report_fd, struct failure *failure);
/* sd_notify(3): one datagram in the agent's name. 0 or -errno. */
int job_notify(const struct wire_inbox *request, struct failure *failure);

#endif
