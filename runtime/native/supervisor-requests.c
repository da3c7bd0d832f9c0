/* What a client may ask of a supervisor. */
#include <errno.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "channel.h"
#include "kernel-abi.h"
#include "launcher.h"
#include "supervisor-state.h"

static bool subscribe(struct supervisor *supervisor, struct client *client, bool is_attach, uint32_t flags) {
  uint32_t id = client->inbox.header.id;
  if (client->subscription_count == SUBSCRIPTIONS_MAX) {
    client_send_errno(supervisor, client, id, EMFILE, "subscriptions of one client");
    return false;
  }
  client->subscriptions[client->subscription_count++] =
      (struct subscription){.id = id, .is_attach = is_attach, .flags = flags};
  return true;
}

static void answer(struct supervisor *supervisor, struct client *client, int error, const char *object) {
  if (error < 0) client_send_errno(supervisor, client, client->inbox.header.id, error, object);
  else client_send(supervisor, client, client->inbox.header.id, BERTH_MSG_DONE, NULL);
}

static void serve_status(struct supervisor *supervisor, struct client *client) {
  uint8_t bytes[64];
  struct wire_writer body = wire_writer_of(bytes, sizeof bytes);
  wire_put_u32(&body, supervisor->state);
  wire_put_u32(&body, (uint32_t)supervisor->pid);
  wire_put_u64(&body, supervisor->start_time);
  wire_put_u32(&body, (uint32_t)getpid());
  wire_put_string(&body, BERTH_HELPER_VERSION);
  client_send(supervisor, client, client->inbox.header.id, BERTH_MSG_STATE, &body);
  if (supervisor->state == CONTAINER_ENDED) {
    client_send_exit(supervisor, client, client->inbox.header.id, &supervisor->exit);
  } else {
    subscribe(supervisor, client, false, 0);
  }
}

static void serve_attach(struct supervisor *supervisor, struct client *client, uint32_t flags) {
  if (supervisor->state == CONTAINER_ENDED) {
    client_send_exit(supervisor, client, client->inbox.header.id, &supervisor->exit);
  } else if (subscribe(supervisor, client, true, flags)) {
    client->is_owner |= (flags & BERTH_ATTACH_OWNER) != 0;
    client->owns_stdin = client->is_owner && (flags & BERTH_ATTACH_STDIN) != 0;
    uint8_t bytes[32];
    struct wire_writer body = wire_writer_of(bytes, sizeof bytes);
    wire_put_started(&body, supervisor->pid);
    client_send(supervisor, client, client->inbox.header.id, BERTH_MSG_STARTED, &body);
  }
}

static void serve_release(struct supervisor *supervisor, struct client *client) {
  if (supervisor->state != CONTAINER_HELD || supervisor->releaser != NULL) {
    answer(supervisor, client, -EALREADY, "the container is not held");
    return;
  }
  int error = channel_send_kind(supervisor->channel, CHANNEL_RELEASE);
  if (error < 0) {
    answer(supervisor, client, error, "the container");
    return;
  }
  supervisor->releaser = client;
  supervisor->release_id = client->inbox.header.id;
}

void request_released(struct supervisor *supervisor, const struct failure *failure) {
  struct client *client = supervisor->releaser;
  supervisor->releaser = NULL;
  if (client == NULL || client->fd < 0) return;
  if (failure != NULL) client_send_failure(supervisor, client, supervisor->release_id, failure);
  else client_send(supervisor, client, supervisor->release_id, BERTH_MSG_DONE, NULL);
}

static void serve_resize(struct supervisor *supervisor, struct client *client, uint32_t rows, uint32_t columns) {
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  bool is_terminal = false;
  int *target = request_input_target(supervisor, client, client->inbox.header.id, &is_terminal);
  if (target != NULL && is_terminal && *target >= 0) ioctl(*target, TIOCSWINSZ, &size);
}

static void serve_exec_signal(struct supervisor *supervisor, struct client *client, uint32_t number) {
  struct exec *exec = exec_find(supervisor, client, client->inbox.header.id);
  if (exec == NULL && number == 0) client->is_owner = false;
  if (exec == NULL || exec->has_ended) return;
  if (number == 0) exec->flags |= BERTH_EXEC_DETACH;
  else sys_pidfd_send_signal(exec->pidfd, (int)number);
}

/* RESIZE, of a terminal that an attached client shares, follows whoever was last. */
int *request_input_target(struct supervisor *supervisor, struct client *client, uint32_t id, bool *is_terminal) {
  struct exec *exec = exec_find(supervisor, client, id);
  if (exec != NULL) {
    *is_terminal = exec->terminal >= 0;
    return *is_terminal ? &exec->terminal : &exec->stdin_fd;
  }
  for (size_t i = 0; i < client->subscription_count; i++) {
    const struct subscription *subscription = &client->subscriptions[i];
    if (subscription->id != id || !subscription->is_attach) continue;
    *is_terminal = supervisor->terminal >= 0;
    if (*is_terminal) return &supervisor->terminal;
    return (subscription->flags & BERTH_ATTACH_STDIN) != 0 ? &supervisor->stdin_fd : NULL;
  }
  return NULL;
}

/* The two numbers that a request may carry; false when the body is not exactly those. */
static bool read_numbers(const struct client *client, size_t count, uint32_t numbers[2]) {
  struct wire_reader body = wire_reader_of(client->inbox.body, client->inbox.header.length);
  for (size_t i = 0; i < count; i++) numbers[i] = wire_u32(&body);
  return wire_is_done(&body);
}

static int number_count(uint16_t type) {
  switch (type) {
    case BERTH_MSG_STATUS:
    case BERTH_MSG_RELEASE:
    case BERTH_MSG_ROTATE: return 0;
    case BERTH_MSG_ATTACH:
    case BERTH_MSG_EXEC_SIGNAL: return 1;
    case BERTH_MSG_SIGNAL:
    case BERTH_MSG_RESIZE: return 2;
    default: return -1;
  }
}

void request_serve(struct supervisor *supervisor, struct client *client) {
  uint32_t numbers[2] = {0, 0};
  uint16_t type = client->inbox.header.type;
  int count = number_count(type);
  if (type == BERTH_MSG_EXEC) {
    exec_begin(supervisor, client);
    return;
  }
  if (count < 0 || !read_numbers(client, (size_t)count, numbers)) {
    answer(supervisor, client, -EBADMSG, "request");
    return;
  }
  switch (type) {
    case BERTH_MSG_STATUS: serve_status(supervisor, client); break;
    case BERTH_MSG_RELEASE: serve_release(supervisor, client); break;
    case BERTH_MSG_ROTATE: answer(supervisor, client, log_file_reopen(&supervisor->log), "log"); break;
    case BERTH_MSG_ATTACH: serve_attach(supervisor, client, numbers[0]); break;
    case BERTH_MSG_EXEC_SIGNAL: serve_exec_signal(supervisor, client, numbers[0]); break;
    case BERTH_MSG_SIGNAL:
      answer(supervisor, client, signal_container(supervisor, (int)numbers[0], numbers[1] != 0), "signal");
      break;
    case BERTH_MSG_RESIZE: serve_resize(supervisor, client, numbers[0], numbers[1]); break;
    default: break;
  }
}
