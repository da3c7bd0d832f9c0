/* NETLINK: sends one datagram of requests and waits until each has been acknowledged or answered. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cleanup.h"
#include "kernel-abi.h"
#include "program.h"

#define ANSWER_SECONDS_MAX 10
#define RECEIVE_BYTES 65536
#define QUEUE_BYTES (1 << 20)
#define REPLY_BYTES_MAX (BERTH_MESSAGE_BYTES_MAX - 4096)

struct conversation {
  struct program *program;
  int family;
  int socket;
  const uint8_t *request;
  size_t request_bytes;
  unsigned awaited;        /* acknowledgements and ends of dumps still to come */
  bool collects;
  const char *about;       /* the object of its failures; NULL: the message that failed */
  uint8_t *replies;
  size_t replies_bytes;
  size_t replies_room;
};

static struct nlmsghdr header_at(const uint8_t *at) {
  struct nlmsghdr header;
  memcpy(&header, at, sizeof header);
  return header;
}

static bool is_dump(const struct nlmsghdr *header) { return (header->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP; }

/* Not every kernel acknowledges the two brackets of an nfnetlink batch, so nobody waits for those. */
static bool is_bracket(const struct conversation *talk, const struct nlmsghdr *header) {
  return talk->family == NETLINK_NETFILTER &&
         (header->nlmsg_type == NFNL_MSG_BATCH_BEGIN || header->nlmsg_type == NFNL_MSG_BATCH_END);
}

static bool is_awaited(const struct conversation *talk, const struct nlmsghdr *header) {
  return (is_dump(header) || (header->nlmsg_flags & NLM_F_ACK) != 0) && !is_bracket(talk, header);
}

static int count_awaited(struct conversation *talk) {
  size_t at = 0;
  while (at < talk->request_bytes) {
    if (talk->request_bytes - at < sizeof(struct nlmsghdr)) return -EBADMSG;
    struct nlmsghdr header = header_at(talk->request + at);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > talk->request_bytes - at) return -EBADMSG;
    if (is_awaited(talk, &header)) talk->awaited++;
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
  return 0;
}

static int open_socket(struct conversation *talk) {
  struct timeval patience = {.tv_sec = ANSWER_SECONDS_MAX};
  int on = 1, queue = QUEUE_BYTES, send_queue = (int)talk->request_bytes + QUEUE_BYTES;
  talk->socket = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, talk->family);
  if (talk->socket < 0) return -errno;
  setsockopt(talk->socket, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(talk->socket, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  setsockopt(talk->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (setsockopt(talk->socket, SOL_SOCKET, SO_RCVBUFFORCE, &queue, sizeof queue) < 0) {
    setsockopt(talk->socket, SOL_SOCKET, SO_RCVBUF, &queue, sizeof queue);
  }
  if (talk->request_bytes > 65536) {
    setsockopt(talk->socket, SOL_SOCKET, SO_SNDBUFFORCE, &send_queue, sizeof send_queue);
  }
  return 0;
}

static int send_request(const struct conversation *talk) {
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  ssize_t sent;
  do {
    sent = sendto(talk->socket, talk->request, talk->request_bytes, 0, (struct sockaddr *)&kernel, sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : 0;
}

/* With NETLINK_CAP_ACK only the header of the failed request is repeated before the attributes. */
static void note_extended_error(struct conversation *talk, const uint8_t *message, const struct nlmsghdr *header) {
  size_t at = NLMSG_HDRLEN + sizeof(struct nlmsgerr);
  if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0 || header->nlmsg_len < at) return;
  if ((header->nlmsg_flags & NLM_F_CAPPED) == 0) {
    struct nlmsghdr repeated = header_at(message + NLMSG_HDRLEN + sizeof(int));
    if (repeated.nlmsg_len < sizeof repeated) return;
    at += NLMSG_ALIGN(repeated.nlmsg_len - sizeof repeated);
  }
  while (at + NLA_HDRLEN <= header->nlmsg_len) {
    struct nlattr attribute;
    memcpy(&attribute, message + at, sizeof attribute);
    if (attribute.nla_len < NLA_HDRLEN || at + attribute.nla_len > header->nlmsg_len) return;
    if (attribute.nla_type == NLMSGERR_ATTR_MSG) {
      snprintf(talk->program->failure.detail, sizeof talk->program->failure.detail, "%.*s",
               (int)(attribute.nla_len - NLA_HDRLEN), (const char *)message + at + NLA_HDRLEN);
      return;
    }
    at += NLA_ALIGN(attribute.nla_len);
  }
}

/* Which of the requests failed, counted from 1: one datagram may hold a whole batch. */
static void name_request(struct conversation *talk, uint32_t sequence) {
  unsigned number = 1;
  if (talk->about != NULL) return;
  for (size_t at = 0; at < talk->request_bytes; number++) {
    struct nlmsghdr header = header_at(talk->request + at);
    if (header.nlmsg_seq == sequence) {
      snprintf(talk->program->failure.object, sizeof talk->program->failure.object,
               "netlink message %u of type %u", number, header.nlmsg_type);
      return;
    }
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
}

static int collect(struct conversation *talk, const uint8_t *message, size_t length) {
  size_t padded = NLMSG_ALIGN(length);
  if (!talk->collects) return 0;
  if (talk->replies_bytes + padded > REPLY_BYTES_MAX) return -EMSGSIZE;
  while (talk->replies_bytes + padded > talk->replies_room) {
    size_t room = talk->replies_room == 0 ? RECEIVE_BYTES : talk->replies_room * 2;
    void *grown = talk->replies_room == 0
                      ? mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                      : mremap(talk->replies, talk->replies_room, room, MREMAP_MAYMOVE);
    if (grown == MAP_FAILED) return -ENOMEM;
    talk->replies = grown;
    talk->replies_room = room;
  }
  memcpy(talk->replies + talk->replies_bytes, message, length);
  talk->replies_bytes += padded;
  return 0;
}

/* NLMSG_ERROR, and NLMSG_DONE which ends a dump, both begin with an error number that is 0 or negative. */
static int take_status(struct conversation *talk, const uint8_t *message, const struct nlmsghdr *header) {
  int error = 0;
  if (header->nlmsg_len >= NLMSG_HDRLEN + sizeof error) memcpy(&error, message + NLMSG_HDRLEN, sizeof error);
  if (error < 0) {
    name_request(talk, header->nlmsg_seq);
    if (header->nlmsg_type == NLMSG_ERROR) note_extended_error(talk, message, header);
    return error;
  }
  for (size_t at = 0; at < talk->request_bytes;) {
    struct nlmsghdr request = header_at(talk->request + at);
    if (request.nlmsg_seq == header->nlmsg_seq && is_awaited(talk, &request) && talk->awaited > 0) {
      talk->awaited--;
      return 0;
    }
    at += NLMSG_ALIGN(request.nlmsg_len);
  }
  return 0;
}

static int take_datagram(struct conversation *talk, const uint8_t *bytes, size_t length) {
  size_t at = 0;
  int error = 0;
  while (error == 0 && length - at >= sizeof(struct nlmsghdr)) {
    struct nlmsghdr header = header_at(bytes + at);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > length - at) return -EBADMSG;
    bool is_status = header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE;
    error = is_status ? take_status(talk, bytes + at, &header) : collect(talk, bytes + at, header.nlmsg_len);
    size_t step = NLMSG_ALIGN(header.nlmsg_len);
    at += step < length - at ? step : length - at;
  }
  return error;
}

static int converse(struct conversation *talk) {
  uint8_t *buffer = mmap(NULL, RECEIVE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (buffer == MAP_FAILED) return -ENOMEM;
  int error = send_request(talk);
  while (error == 0 && talk->awaited > 0) {
    ssize_t got = recv(talk->socket, buffer, RECEIVE_BYTES, MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error = errno == EAGAIN ? -ETIMEDOUT : -errno;
    else error = got > RECEIVE_BYTES ? -EMSGSIZE : take_datagram(talk, buffer, (size_t)got);
  }
  munmap(buffer, RECEIVE_BYTES);
  return error;
}

static int report_replies(struct conversation *talk) {
  struct program *program = talk->program;
  if (!talk->collects || program->report_fd < 0) return 0;
  size_t room = talk->replies_bytes + 8;
  uint8_t *body = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (body == MAP_FAILED) return -ENOMEM;
  struct wire_writer writer = wire_writer_of(body, room);
  wire_put_bytes(&writer, talk->replies == NULL ? (const uint8_t *)"" : talk->replies, talk->replies_bytes);
  int error = wire_send(program->report_fd, program->id, BERTH_MSG_NETLINK_REPLY, body, writer.length);
  munmap(body, room);
  return error;
}

/* The message is this process's private copy, so a number can be written into it. */
static int patch(const struct conversation *talk, uint32_t offset, int value) {
  uint32_t number = (uint32_t)value;
  if (offset == BERTH_SLOT_NONE) return 0;
  if (value < 0) return value;
  if (talk->request_bytes < sizeof number || offset > talk->request_bytes - sizeof number) return -EBADMSG;
  memcpy((uint8_t *)(uintptr_t)talk->request + offset, &number, sizeof number);
  return 0;
}

static int *kept_socket(const struct conversation *talk) {
  if (talk->program->netlink_sockets == NULL || talk->family < 0 || talk->family >= NETLINK_FAMILIES) return NULL;
  return &talk->program->netlink_sockets[talk->family];
}

/* Closing a netfilter socket waits, through a grace period, for everything that was ever deleted; a kept one does not.
 * After a failure answers may still be under way: they must not be taken for those of the next request. */
static int converse_kept(struct conversation *talk, int *kept) {
  int error = 0;
  talk->socket = *kept;
  if (talk->socket < 0) error = open_socket(talk);
  if (error == 0) error = converse(talk);
  if (error < 0) drop_fd(&talk->socket);
  *kept = talk->socket;
  return error;
}

static int converse_once(struct conversation *talk) {
  int error = open_socket(talk);
  OWNED_FD socket_fd = talk->socket;
  (void)socket_fd;
  return error < 0 ? error : converse(talk);
}

int op_netlink(struct program *program, struct wire_reader *payload) {
  struct conversation talk = {.program = program, .socket = -1};
  talk.family = (int)wire_u32(payload);
  uint32_t offset = wire_u32(payload);
  uint32_t length;
  talk.collects = wire_u32(payload) != 0;
  talk.request = wire_bytes(payload, &length);
  talk.request_bytes = length;
  program_fails(program, 0, "netlink");
  int error = patch(&talk, offset, program->child == 0 ? -ESRCH : program->child);
  if (error == 0) error = count_awaited(&talk);
  int *kept = kept_socket(&talk);
  if (error == 0) error = kept == NULL ? converse_once(&talk) : converse_kept(&talk, kept);
  if (error == 0) error = report_replies(&talk);
  if (talk.replies != NULL) munmap(talk.replies, talk.replies_room);
  return error;
}

/* A socket speaks to the network namespace that its maker was in. */
static int open_socket_in(struct conversation *talk, int namespace) {
  if (namespace < 0) return open_socket(talk);
  OWNED_FD own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (own < 0 || sys_setns(namespace, CLONE_NEWNET) < 0) return -errno;
  int error = open_socket(talk);
  if (sys_setns(own, CLONE_NEWNET) < 0) return -errno;
  return error;
}

int op_netlink_in(struct program *program, struct wire_reader *payload) {
  struct conversation talk = {.program = program, .socket = -1};
  uint32_t slot = wire_u32(payload);
  talk.family = (int)wire_u32(payload);
  uint32_t offset = wire_u32(payload);
  uint32_t named = wire_u32(payload);
  talk.about = wire_string(payload);
  uint32_t length;
  talk.request = wire_bytes(payload, &length);
  talk.request_bytes = length;
  program_fails(program, 0, talk.about);
  int namespace = slot == BERTH_SLOT_NONE ? -1 : program_slot(program, slot);
  if (slot != BERTH_SLOT_NONE && namespace < 0) return namespace;
  int error = patch(&talk, offset, program_slot(program, named));
  if (error == 0) error = count_awaited(&talk);
  if (error == 0) error = open_socket_in(&talk, namespace);
  OWNED_FD socket_fd = talk.socket;
  (void)socket_fd;
  return error < 0 ? error : converse(&talk);
}
