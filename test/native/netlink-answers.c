/* The kernel's answers to netlink requests, whole and damaged. The file under test is included for its parser.
 *
 *     netlink-answers SEED COUNT
 */
#include "../../runtime/native/netlink.c"

#include "check.h"

static uint8_t request[256];
static size_t request_bytes;
static struct program program;

static void add_request(uint16_t type, uint16_t flags, uint32_t sequence) {
  struct nlmsghdr header = {.nlmsg_len = sizeof header, .nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = sequence};
  memcpy(request + request_bytes, &header, sizeof header);
  request_bytes += sizeof header;
}

static size_t put_error(uint8_t *at, uint32_t sequence, int error, const char *text) {
  struct nlattr attribute = {.nla_type = NLMSGERR_ATTR_MSG};
  struct nlmsghdr header = {.nlmsg_type = NLMSG_ERROR, .nlmsg_seq = sequence, .nlmsg_flags = NLM_F_CAPPED};
  size_t length = NLMSG_HDRLEN + sizeof(struct nlmsgerr);
  memset(at, 0, length);
  memcpy(at + NLMSG_HDRLEN, &error, sizeof error);
  if (text != NULL) {
    header.nlmsg_flags |= NLM_F_ACK_TLVS;
    attribute.nla_len = (uint16_t)(NLA_HDRLEN + strlen(text) + 1);
    memcpy(at + length, &attribute, sizeof attribute);
    memcpy(at + length + NLA_HDRLEN, text, strlen(text) + 1);
    length += NLA_ALIGN(attribute.nla_len);
  }
  header.nlmsg_len = (uint32_t)length;
  memcpy(at, &header, sizeof header);
  return length;
}

static struct conversation begin(int family) {
  struct conversation talk = {.program = &program, .family = family, .socket = -1, .collects = true};
  talk.request = request;
  talk.request_bytes = request_bytes;
  program.failure = (struct failure){0};
  return talk;
}

static void finish(struct conversation *talk) {
  if (talk->replies != NULL) munmap(talk->replies, talk->replies_room);
}

static void test_acknowledgements(void) {
  uint8_t answer[512];
  request_bytes = 0;
  add_request(16, NLM_F_REQUEST | NLM_F_ACK, 1);
  add_request(18, NLM_F_REQUEST | NLM_F_DUMP, 2);
  add_request(16, NLM_F_REQUEST, 3);
  struct conversation talk = begin(NETLINK_ROUTE);
  CHECK(count_awaited(&talk) == 0 && talk.awaited == 2, "acknowledgements and dumps are awaited");
  size_t length = put_error(answer, 1, 0, NULL);
  CHECK(take_datagram(&talk, answer, length) == 0 && talk.awaited == 1, "an acknowledgement counts");
  length = put_error(answer, 3, -17, "it is there");
  CHECK(take_datagram(&talk, answer, length) == -17, "an error that nobody asked for is one");
  CHECK(strcmp(program.failure.detail, "it is there") == 0, "with the kernel's words");
  CHECK(strstr(program.failure.object, "message 3") != NULL, "and the message that caused it");
  finish(&talk);
}

static void test_brackets(void) {
  request_bytes = 0;
  add_request(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST | NLM_F_ACK, 1);
  add_request(0xa00, NLM_F_REQUEST | NLM_F_ACK, 2);
  add_request(NFNL_MSG_BATCH_END, NLM_F_REQUEST | NLM_F_ACK, 3);
  struct conversation talk = begin(NETLINK_NETFILTER);
  CHECK(count_awaited(&talk) == 0 && talk.awaited == 1, "the brackets of a batch are not awaited");
  request[0] = 3;
  CHECK(count_awaited(&talk) == -EBADMSG, "a malformed request is refused");
}

/* Shorter than what it repeats: nothing behind it is read. */
static void test_short_error(void) {
  struct nlmsghdr header = {.nlmsg_len = NLMSG_HDRLEN + sizeof(int),
                            .nlmsg_type = NLMSG_ERROR,
                            .nlmsg_flags = NLM_F_ACK_TLVS,
                            .nlmsg_seq = 1};
  int error = -EPERM;
  uint8_t *answer = malloc(header.nlmsg_len);
  memcpy(answer, &header, sizeof header);
  memcpy(answer + NLMSG_HDRLEN, &error, sizeof error);
  request_bytes = 0;
  add_request(16, NLM_F_REQUEST | NLM_F_ACK, 1);
  struct conversation talk = begin(NETLINK_ROUTE);
  CHECK(take_datagram(&talk, answer, header.nlmsg_len) == -EPERM && program.failure.detail[0] == '\0',
        "an error without the words that it announces is one");
  finish(&talk);
  free(answer);
}

static void test_damaged(int count) {
  request_bytes = 0;
  add_request(16, NLM_F_REQUEST | NLM_F_ACK, 1);
  for (int i = 0; i < count; i++) {
    uint8_t answer[512];
    size_t length = put_error(answer, random_below(3), -(int)random_below(3), random_below(2) == 0 ? "words" : NULL);
    length += put_error(answer + length, 1, 0, NULL);
    for (uint32_t times = random_below(6); times > 0; times--) {
      answer[random_below((uint32_t)length)] = (uint8_t)(random_below(2) == 0 ? 255 : next_random());
    }
    uint8_t *copy = malloc(length);
    memcpy(copy, answer, length);
    struct conversation talk = begin(NETLINK_ROUTE);
    talk.awaited = 1;
    take_datagram(&talk, copy, random_below(8) == 0 ? random_below((uint32_t)length) : length);
    CHECK(talk.awaited <= 1, "nothing is counted below zero");
    finish(&talk);
    free(copy);
  }
}

int main(int argc, char **argv) {
  seed_random(argc > 1 ? argv[1] : "1");
  test_acknowledgements();
  test_brackets();
  test_short_error();
  test_damaged(argc > 2 ? atoi(argv[2]) : 20000);
  return report_checks("netlink-answers");
}
