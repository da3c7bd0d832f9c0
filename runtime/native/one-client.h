/* The life of a child of the launcher that works for one client on a socket of its own. */
#ifndef BERTH_ONE_CLIENT_H
#define BERTH_ONE_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define ONE_CLIENT_FDS 2

struct one_client {
  const char *socket_path; /* made with mode 0600, gone once the client is connected */
  uint32_t request_id;     /* echoed in every message */
  const char *object;      /* what a failure before the client came is about */
  const uint32_t *capabilities; /* that are kept of root's */
  size_t capability_count;
  int fds[ONE_CLIENT_FDS]; /* what the work needs to stay open, or -1 */
  /* Answers the client itself when it succeeds: 0, or -1 with `failure` filled, which is sent. */
  int (*work)(int client, const struct one_client *self, struct failure *failure);
  void *context;
};

/* Runs in a child of the launcher, as host root. Listens, gives up every capability but those, writes one DONE (or ERROR)
 * message to report_fd, closes every descriptor but those and stderr, then serves exactly one client. One that does not
 * come within a minute is waited for no longer. Returns the exit status of the child: 0 done, 1 failed. */
int one_client_serve(const struct one_client *life, int report_fd);

#endif
