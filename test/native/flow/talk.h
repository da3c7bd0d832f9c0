/* The agent's side of the protocol, as little of it as the tests need. */
#ifndef BERTH_TEST_TALK_H
#define BERTH_TEST_TALK_H

#include <sys/types.h>

#include "../../../runtime/native/wire.h"

/* Fields by letter: w uint32_t, q uint64_t, s const char *, b const void * and size_t. */
void put(struct wire_writer *out, const char *fields, ...);
void put_operation(struct wire_writer *out, uint16_t op, const char *fields, ...);
/* What another writer has collected. */
void put_all(struct wire_writer *out, const struct wire_writer *more);

struct message {
  uint32_t id;
  uint16_t type;
  uint8_t *body;
  uint32_t length;
  struct wire_reader fields;
};

struct talk {
  int in;
  int out;
  struct wire_inbox inbox;
};

void talk_send(struct talk *talk, uint32_t id, uint16_t type, const struct wire_writer *body);
/* The next message within five seconds; type 0 at the end of the connection, 0xffff when none came. */
struct message talk_receive(struct talk *talk);
/* The next message of this type, passing over others. */
struct message talk_expect(struct talk *talk, uint16_t type);
void talk_close(struct talk *talk);

struct talk launch(const char *helper, pid_t *pid);
/* in < 0 when nobody listens. */
struct talk connect_to(const char *path);

#endif
