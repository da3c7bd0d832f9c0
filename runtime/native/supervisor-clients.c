/* Connections to the supervisor's socket: who may speak, and what arrives. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "kernel-abi.h"
#include "supervisor-state.h"

/* So that one busy client does not keep the others waiting. */
#define MESSAGES_PER_ROUND 16

static void owner_left(struct supervisor *supervisor, struct client *client) {
  if (!client->is_owner) return;
  client->is_owner = false;
  if (supervisor->state == CONTAINER_HELD) sys_pidfd_send_signal(supervisor->pidfd, SIGKILL);
  if (client->owns_stdin) drop_fd(&supervisor->stdin_fd);
}

void client_drop(struct supervisor *supervisor, struct client *client) {
  if (client->fd < 0) return;
  owner_left(supervisor, client);
  drop_fd(&client->fd);
  client->subscription_count = 0;
  if (supervisor->releaser == client) supervisor->releaser = NULL;
  execs_orphan(supervisor, client);
}

void clients_sweep(struct supervisor *supervisor) {
  struct client **link = &supervisor->clients;
  while (*link != NULL) {
    struct client *client = *link;
    if (client->fd >= 0) {
      link = &client->next;
      continue;
    }
    *link = client->next;
    supervisor->client_count--;
    wire_inbox_clear(&client->inbox);
    outbox_free(&client->outbox);
    free(client);
  }
}

/* Who has been told everything reads the end of the stream, and closes. To close first would take what the client has
 * not read with it, as soon as it writes or has written what nobody reads (unix(7): ECONNRESET). */
void clients_say_goodbye(struct supervisor *supervisor) {
  for (struct client *client = supervisor->clients; client != NULL; client = client->next) {
    bool is_told = client->has_exit && client->outbox.end == client->outbox.start;
    if (client->fd < 0 || client->is_shut || !is_told) continue;
    shutdown(client->fd, SHUT_WR);
    client->is_shut = true;
  }
}

/* Only the host's root: a process in a container may have the socket's path by accident, but never that id. */
static bool is_host_root(int fd) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == 0;
}

static bool accept_one(struct supervisor *supervisor) {
  OWNED_FD fd = accept4(supervisor->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return errno == EINTR || errno == ECONNABORTED;
  if (!is_host_root(fd)) return true;
  struct client *client = calloc(1, sizeof *client);
  if (client == NULL) return false;
  client->fd = steal_fd(&fd);
  client->next = supervisor->clients;
  supervisor->clients = client;
  supervisor->client_count++;
  return true;
}

void clients_accept_all(struct supervisor *supervisor) {
  while (supervisor->client_count < CLIENTS_MAX && accept_one(supervisor)) continue;
}

static void listener_ready(void *owner, void *object, short events) {
  (void)object;
  (void)events;
  clients_accept_all(owner);
}

/* Writes on with the INPUT at hand; the client is not read from until all of it is where it belongs. */
static void write_input(struct supervisor *supervisor, struct client *client) {
  struct wire_reader body = wire_reader_of(client->inbox.body, client->inbox.header.length);
  uint32_t length = 0;
  const uint8_t *bytes = client->inbox.header.length == 0 ? NULL : wire_bytes(&body, &length);
  bool is_terminal = false;
  int *target = request_input_target(supervisor, client, client->inbox.header.id, &is_terminal);
  bool is_over = target == NULL || *target < 0;
  if (!is_over && length == 0) {
    if (!is_terminal) drop_fd(target);
    is_over = true;
  }
  while (!is_over && client->input_done < length) {
    ssize_t written = write(*target, bytes + client->input_done, length - client->input_done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) return;
    if (written < 0 && !is_terminal) drop_fd(target);
    if (written < 0) break;
    client->input_done += (size_t)written;
  }
  client->has_message = false;
  wire_inbox_clear(&client->inbox);
}

static void input_ready(void *owner, void *object, short events) {
  struct client *client = object;
  (void)events;
  if (client->fd >= 0 && client->has_message) write_input(owner, client);
}

static void read_messages(struct supervisor *supervisor, struct client *client) {
  for (int count = 0; count < MESSAGES_PER_ROUND && client->fd >= 0 && !client->has_message; count++) {
    int got = wire_inbox_read(&client->inbox, client->fd);
    if (got == 0) return;
    if (got < 0) {
      if (got == -EPROTO) client_send_errno(supervisor, client, client->inbox.header.id, got, "message");
      client_drop(supervisor, client);
      return;
    }
    if (client->inbox.header.type == BERTH_MSG_INPUT) {
      client->has_message = true;
      client->input_done = 0;
      write_input(supervisor, client);
    } else {
      request_serve(supervisor, client);
      wire_inbox_clear(&client->inbox);
    }
  }
}

static void client_ready(void *owner, void *object, short events) {
  struct client *client = object;
  if (client->fd >= 0 && (events & POLLOUT) != 0) client_flush(owner, client);
  if (client->fd < 0) return;
  if (!client->has_message) read_messages(owner, client);
  else if ((events & (POLLHUP | POLLERR)) != 0) client_drop(owner, client);
}

void clients_watch(struct supervisor *supervisor) {
  struct poll_set *set = &supervisor->polled;
  if (supervisor->client_count < CLIENTS_MAX) {
    poll_set_add(set, supervisor->listener, POLLIN, (struct poll_watch){listener_ready, supervisor, NULL});
  }
  for (struct client *client = supervisor->clients; client != NULL; client = client->next) {
    short events = client->has_message ? 0 : POLLIN;
    if (client->outbox.end > client->outbox.start) events |= POLLOUT;
    poll_set_add(set, client->fd, events, (struct poll_watch){client_ready, supervisor, client});
    if (!client->has_message) continue;
    bool is_terminal;
    int *target = request_input_target(supervisor, client, client->inbox.header.id, &is_terminal);
    if (target == NULL || *target < 0) write_input(supervisor, client);
    else poll_set_add(set, *target, POLLOUT, (struct poll_watch){input_ready, supervisor, client});
  }
}
