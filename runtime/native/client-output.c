/* Messages to clients, each with a bounded store for what its socket does not take at once. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "supervisor-state.h"

/* Enough for answers; output stops being added long before. */
#define OUTBOX_BYTES ((size_t)1 << 20)
/* What is read of a container that has ended comes on top of where reading for an owner stops. */
#define OWNER_BYTES_MAX ((size_t)768 << 10)

void outbox_free(struct outbox *outbox) {
  if (outbox->bytes != NULL) munmap(outbox->bytes, OUTBOX_BYTES);
  *outbox = (struct outbox){0};
}

static bool outbox_add(struct outbox *outbox, const void *bytes, size_t length) {
  if (outbox->bytes == NULL) {
    void *fresh = mmap(NULL, OUTBOX_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fresh == MAP_FAILED) return false;
    outbox->bytes = fresh;
  }
  if (OUTBOX_BYTES - outbox->end < length && outbox->start > 0) {
    memmove(outbox->bytes, outbox->bytes + outbox->start, outbox->end - outbox->start);
    outbox->end -= outbox->start;
    outbox->start = 0;
  }
  if (OUTBOX_BYTES - outbox->end < length) return false;
  memcpy(outbox->bytes + outbox->end, bytes, length);
  outbox->end += length;
  return true;
}

static size_t pending(const struct client *client) { return client->outbox.end - client->outbox.start; }

bool client_has_room(const struct client *client) {
  return pending(client) < (client->is_owner ? OWNER_BYTES_MAX : OUTPUT_BYTES_MAX);
}

bool owners_are_behind(const struct supervisor *supervisor, size_t bytes) {
  for (const struct client *client = supervisor->clients; client != NULL; client = client->next) {
    if (client->is_owner && client->fd >= 0 && pending(client) > bytes) return true;
  }
  return false;
}

/* What the socket takes now; the rest is kept. Order is kept too: nothing overtakes what already waits. */
static void send_parts(struct supervisor *supervisor, struct client *client, struct iovec *parts, size_t count) {
  size_t sent = 0;
  if (client->fd < 0) return;
  if (pending(client) == 0) {
    struct msghdr header = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t taken = sendmsg(client->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (taken < 0 && errno != EAGAIN && errno != EINTR) {
      client_drop(supervisor, client);
      return;
    }
    if (taken > 0) sent = (size_t)taken;
  }
  for (size_t i = 0; i < count; i++) {
    size_t skipped = sent < parts[i].iov_len ? sent : parts[i].iov_len;
    sent -= skipped;
    if (skipped == parts[i].iov_len) continue;
    if (!outbox_add(&client->outbox, (uint8_t *)parts[i].iov_base + skipped, parts[i].iov_len - skipped)) {
      client_drop(supervisor, client);
      return;
    }
  }
}

void client_send(struct supervisor *supervisor, struct client *client, uint32_t id, uint16_t type,
                 const struct wire_writer *body) {
  uint8_t header[BERTH_HEADER_BYTES];
  size_t length = body == NULL ? 0 : body->length;
  wire_header_put(header, (struct wire_header){.length = (uint32_t)length,
                                               .id = id,
                                               .type = type,
                                               .version = BERTH_PROTOCOL_VERSION});
  struct iovec parts[2] = {{.iov_base = header, .iov_len = sizeof header},
                           {.iov_base = body == NULL ? NULL : body->bytes, .iov_len = length}};
  send_parts(supervisor, client, parts, 2);
}

void client_send_failure(struct supervisor *supervisor, struct client *client, uint32_t id,
                         const struct failure *failure) {
  uint8_t bytes[WIRE_FAILURE_BYTES_MAX];
  struct wire_writer body = wire_writer_of(bytes, sizeof bytes);
  wire_put_failure(&body, failure);
  client_send(supervisor, client, id, BERTH_MSG_ERROR, &body);
}

void client_send_errno(struct supervisor *supervisor, struct client *client, uint32_t id, int error,
                       const char *object) {
  struct failure failure = {.stage = BERTH_STAGE_SUPERVISOR, .error = error < 0 ? -error : error};
  snprintf(failure.object, sizeof failure.object, "%s", object);
  client_send_failure(supervisor, client, id, &failure);
}

void client_send_output(struct supervisor *supervisor, struct client *client, uint32_t id, uint32_t stream,
                        const uint8_t *bytes, size_t length) {
  uint8_t head[BERTH_HEADER_BYTES + 8];
  struct wire_writer fields = wire_writer_of(head + BERTH_HEADER_BYTES, 8);
  wire_header_put(head, (struct wire_header){.length = (uint32_t)(8 + length + 1),
                                             .id = id,
                                             .type = BERTH_MSG_OUTPUT,
                                             .version = BERTH_PROTOCOL_VERSION});
  wire_put_u32(&fields, stream);
  wire_put_u32(&fields, (uint32_t)length);
  struct iovec parts[3] = {{.iov_base = head, .iov_len = sizeof head},
                           {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length},
                           {.iov_base = "", .iov_len = 1}};
  send_parts(supervisor, client, parts, 3);
}

void client_send_exit(struct supervisor *supervisor, struct client *client, uint32_t id,
                      const struct exit_status *status) {
  uint8_t bytes[32];
  struct wire_writer body = wire_writer_of(bytes, sizeof bytes);
  wire_put_exit(&body, status);
  client->has_exit = true;
  client_send(supervisor, client, id, BERTH_MSG_EXITED, &body);
}

/* Says how much was lost before anything newer is sent. */
static void tell_dropped(struct supervisor *supervisor, struct client *client, struct subscription *subscription) {
  uint8_t bytes[8];
  struct wire_writer body = wire_writer_of(bytes, sizeof bytes);
  if (subscription->dropped == 0) return;
  wire_put_u64(&body, subscription->dropped);
  subscription->dropped = 0;
  client_send_output(supervisor, client, subscription->id, 0, bytes, sizeof bytes);
}

void client_flush(struct supervisor *supervisor, struct client *client) {
  struct outbox *outbox = &client->outbox;
  if (pending(client) > 0) {
    ssize_t sent = send(client->fd, outbox->bytes + outbox->start, pending(client), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) client_drop(supervisor, client);
    if (sent > 0) outbox->start += (size_t)sent;
  }
  if (client->fd < 0 || pending(client) > 0) return;
  outbox_free(outbox);
  for (size_t i = 0; i < client->subscription_count; i++) {
    tell_dropped(supervisor, client, &client->subscriptions[i]);
  }
}

void clients_broadcast(struct supervisor *supervisor, uint32_t stream, const uint8_t *bytes, size_t length) {
  for (struct client *client = supervisor->clients; client != NULL; client = client->next) {
    for (size_t i = 0; client->fd >= 0 && i < client->subscription_count; i++) {
      struct subscription *subscription = &client->subscriptions[i];
      if ((subscription->flags & BERTH_ATTACH_OUTPUT) == 0) continue;
      /* Once something is lost, nothing is added until the client has caught up and been told. */
      if (subscription->dropped > 0 || !client_has_room(client)) {
        subscription->dropped += length;
        continue;
      }
      client_send_output(supervisor, client, subscription->id, stream, bytes, length);
    }
  }
}

void clients_tell_exit(struct supervisor *supervisor) {
  for (struct client *client = supervisor->clients; client != NULL; client = client->next) {
    for (size_t i = 0; client->fd >= 0 && i < client->subscription_count; i++) {
      tell_dropped(supervisor, client, &client->subscriptions[i]);
      client_send_exit(supervisor, client, client->subscriptions[i].id, &supervisor->exit);
    }
    client->subscription_count = 0;
  }
}
