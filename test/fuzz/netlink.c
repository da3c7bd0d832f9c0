/* Fuzzing: the kernel's answers to a request on netlink. The file under test is included for its parser. */
#include "../../runtime/native/netlink.c"

#include <stdlib.h>

#include "fuzz.h"

/* A change that wants an acknowledgement, a dump, and a change that wants none. */
static size_t make_request(uint8_t *bytes) {
  static const uint16_t flags[] = {NLM_F_REQUEST | NLM_F_ACK, NLM_F_REQUEST | NLM_F_DUMP, NLM_F_REQUEST};
  for (uint32_t i = 0; i < 3; i++) {
    struct nlmsghdr header = {.nlmsg_len = sizeof header, .nlmsg_type = 16, .nlmsg_flags = flags[i], .nlmsg_seq = i + 1};
    memcpy(bytes + i * sizeof header, &header, sizeof header);
  }
  return 3 * sizeof(struct nlmsghdr);
}

/* The first byte says which family answers, and whether the answers are collected. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct program program;
  uint8_t request[3 * sizeof(struct nlmsghdr)];
  if (length < 1) return 0;
  program.failure = (struct failure){0};
  int family = (bytes[0] & 1) == 0 ? NETLINK_ROUTE : NETLINK_NETFILTER;
  struct conversation talk = {.program = &program, .family = family, .socket = -1, .collects = (bytes[0] & 2) != 0};
  talk.request = request;
  talk.request_bytes = make_request(request);
  MUST(count_awaited(&talk) == 0);
  size_t size = length - 1;
  /* Of exactly its size, and aligned as what the kernel fills. */
  uint8_t *exact = malloc(size > 0 ? size : 1);
  MUST(exact != NULL);
  memcpy(exact, bytes + 1, size);
  take_datagram(&talk, exact, size);
  free(exact);
  if (talk.replies != NULL) munmap(talk.replies, talk.replies_room);
  return 0;
}
