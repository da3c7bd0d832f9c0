/* What the children of the launcher do. Each answers through a pipe of its own and ends. */
#ifndef BERTH_LAUNCHER_JOBS_H
#define BERTH_LAUNCHER_JOBS_H

#include "wire.h"

/* Carries out the request in a child whose answers come from *report_fd. 0, or -errno (-EBADMSG: not a request, with
 * `failure` saying why) when there is no child. */
int job_start(const struct wire_inbox *request, int *report_fd, struct failure *failure);
/* sd_notify(3): one datagram in the agent's name. 0 or -errno. */
int job_notify(const struct wire_inbox *request, struct failure *failure);

/* Carries out a RUN that only speaks netlink, in this process and on sockets that it keeps: it never waits for long, and
 * neither a fork nor the close of a socket stands in its way. False when the request is another. */
bool job_run_here(const struct wire_inbox *request, int *netlink_sockets);

#endif
