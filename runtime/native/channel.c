#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int) * BERTH_SLOTS)];
};

int channel_send(int channel, const struct channel_message *message) {
  union control control;
  struct iovec parts[2] = {
      {.iov_base = (void *)&message->kind, .iov_len = sizeof message->kind},
      {.iov_base = (void *)&message->body, .iov_len = sizeof message->body},
  };
  struct msghdr header = {.msg_iov = parts, .msg_iovlen = 2};
  if (message->fd_count > 0) {
    size_t bytes = sizeof(int) * message->fd_count;
    header.msg_control = control.bytes;
    header.msg_controllen = CMSG_SPACE(bytes);
    memset(control.bytes, 0, header.msg_controllen);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(&control.header), message->fds, bytes);
  }
  while (sendmsg(channel, &header, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}

int channel_send_kind(int channel, enum channel_kind kind) {
  uint32_t bare = kind;
  while (send(channel, &bare, sizeof bare, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return -errno;
  }
  return 0;
}

/* write(2) and read(2) are what a filter can be asked to let through; messages with descriptors would take more. */
int channel_offer_listener(int channel, int listener) {
  int32_t offer[2] = {CHANNEL_LISTENER, listener};
  uint32_t answer = 0;
  ssize_t moved;
  do {
    moved = write(channel, offer, sizeof offer);
  } while (moved < 0 && errno == EINTR);
  if (moved != sizeof offer) return moved < 0 ? -errno : -EIO;
  do {
    moved = read(channel, &answer, sizeof answer);
  } while (moved < 0 && errno == EINTR);
  if (moved < 0) return -errno;
  return moved == sizeof answer && answer == CHANNEL_NOTIFY ? 0 : -ECONNABORTED;
}

static void take_descriptors(struct msghdr *header, struct channel_message *message) {
  for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    message->fd_count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(message->fds, CMSG_DATA(part), message->fd_count * sizeof(int));
  }
}

int channel_receive(int channel, struct channel_message *message, int flags) {
  union control control;
  struct iovec parts[2] = {
      {.iov_base = &message->kind, .iov_len = sizeof message->kind},
      {.iov_base = &message->body, .iov_len = sizeof message->body},
  };
  struct msghdr header = {.msg_iov = parts,
                          .msg_iovlen = 2,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof control.bytes};
  ssize_t got;
  message->kind = 0;
  message->fd_count = 0;
  do {
    got = recvmsg(channel, &header, flags | MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return errno == ECONNRESET ? 0 : -errno;
  take_descriptors(&header, message);
  return got > 0;
}
