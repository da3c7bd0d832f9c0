/* The protocol's parser: programs made from the schema are taken, damaged ones never read a byte too many (each lies
 * in memory of exactly its size, under AddressSanitizer), and messages survive any cutting on their way.
 *
 *     messages SEED COUNT
 *     messages seeds SEED COUNT DIRECTORY    writes such programs, each behind a byte with its kind, for test/fuzz
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../runtime/native/program-schema.h"
#include "check.h"

#define ROOM 65536
#define OPERATIONS_MAX 80

static uint8_t room[ROOM];

static void put_field(struct wire_writer *out, char field) {
  uint8_t bytes[40];
  size_t length = random_below(sizeof bytes);
  for (size_t i = 0; i < length; i++) bytes[i] = (uint8_t)(field == 's' ? 'a' + random_below(26) : random_below(256));
  switch (field) {
    case 'w': wire_put_u32(out, (uint32_t)next_random()); break;
    case 'q': wire_put_u64(out, next_random()); break;
    case 'l': wire_put_u32(out, random_below(BERTH_SLOTS)); break;
    case 'n': wire_put_u32(out, random_below(2) == 0 ? BERTH_SLOT_NONE : random_below(BERTH_SLOTS)); break;
    default: wire_put_bytes(out, bytes, length); break;
  }
}

static void put_fields(struct wire_writer *out, const char *fields) {
  for (const char *field = fields; *field != '\0' && *field != ')'; field++) {
    if (*field != '(') {
      put_field(out, *field);
      continue;
    }
    uint32_t count = random_below(4);
    wire_put_u32(out, count);
    for (uint32_t i = 0; i < count; i++) put_fields(out, field + 1);
    field = strchr(field, ')');
  }
}

static void put_u16(struct wire_writer *out, uint16_t value) {
  if (out->capacity - out->length < 2) return;
  out->bytes[out->length++] = (uint8_t)value;
  out->bytes[out->length++] = (uint8_t)(value >> 8);
}

static void put_operation(struct wire_writer *out, uint16_t op) {
  uint8_t payload[4096];
  struct wire_writer fields = wire_writer_of(payload, sizeof payload);
  put_fields(&fields, operation_schema_of(op)->fields);
  put_u16(out, op);
  put_u16(out, (uint16_t)random_below(4));
  wire_put_u32(out, (uint32_t)fields.length);
  memcpy(out->bytes + out->length, payload, fields.length);
  out->length += fields.length;
}

/* Neither shapes the program nor ends it. */
static int is_free(uint16_t op) {
  return op != BERTH_OP_CLONE && op != BERTH_OP_JOIN && op != BERTH_OP_INIT_BEGIN && op != BERTH_OP_EXEC &&
         op != BERTH_OP_NOTIFY && op != BERTH_OP_AWAIT && op != BERTH_OP_PASS_FDS && op != BERTH_OP_TAKE_FDS &&
         op != BERTH_OP_CONTAINER && op != BERTH_OP_SECCOMP_AGENT && op != BERTH_OP_COPY_OUT && op != BERTH_OP_COPY_IN &&
         op != BERTH_OP_DIAL && op != BERTH_OP_END;
}

/* That of the supervisor, before INIT_BEGIN, is a START's alone. */
static int is_pin_elsewhere(uint16_t op, enum program_kind kind, unsigned where) {
  return op == BERTH_OP_AFFINITY && where == IN_HOST && kind != PROGRAM_START;
}

static void put_some(struct wire_writer *out, enum program_kind kind, unsigned where) {
  for (uint32_t left = random_below(12); left > 0; left--) {
    uint16_t op = (uint16_t)random_below(OPERATIONS_MAX);
    const struct operation_schema *schema = operation_schema_of(op);
    if (schema == NULL || (schema->where & where) == 0 || is_pin_elsewhere(op, kind, where)) continue;
    if (is_free(op)) put_operation(out, op);
  }
}

static size_t make_program(enum program_kind kind) {
  struct wire_writer out = wire_writer_of(room, sizeof room);
  put_some(&out, kind, IN_HOST);
  if (kind == PROGRAM_RUN) return out.length;
  put_operation(&out, kind == PROGRAM_START ? BERTH_OP_CLONE : BERTH_OP_JOIN);
  put_operation(&out, BERTH_OP_PASS_FDS);
  put_operation(&out, BERTH_OP_NOTIFY);
  put_operation(&out, BERTH_OP_INIT_BEGIN);
  put_operation(&out, BERTH_OP_TAKE_FDS);
  put_operation(&out, BERTH_OP_AWAIT);
  put_some(&out, kind, IN_INIT);
  put_operation(&out, BERTH_OP_EXEC);
  return out.length;
}

static void damage(uint8_t *bytes, size_t length) {
  static const uint32_t telling[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 4096, 192};
  for (uint32_t times = 1 + random_below(4); times > 0 && length >= 4; times--) {
    size_t at = random_below((uint32_t)length - 3);
    uint32_t value = telling[random_below(8)];
    if (random_below(2) == 0) bytes[at] ^= (uint8_t)(1u << random_below(8));
    else memcpy(bytes + at, &value, sizeof value);
  }
}

/* The copy is exactly as long as the program, so that a step too far is seen. */
static int check_copy(enum program_kind kind, size_t length, int damaged) {
  struct failure failure = {0};
  struct operation operation;
  size_t cut = damaged && random_below(4) == 0 ? random_below((uint32_t)length + 1) : length;
  uint8_t *copy = malloc(cut > 0 ? cut : 1);
  memcpy(copy, room, cut);
  if (damaged) damage(copy, cut);
  int error = program_check(kind, copy, cut, &failure);
  CHECK(error == 0 || (error == -EBADMSG && failure.error == EBADMSG && failure.detail[0] != '\0'),
        "a refusal says why");
  if (error == 0) {
    struct wire_reader rest = wire_reader_of(copy, cut);
    while (program_next(&rest, &operation)) CHECK(operation_schema_of(operation.op) != NULL, "checked ops are known");
    CHECK(wire_is_done(&rest), "a checked program is read to its end");
  }
  free(copy);
  return error;
}

static void test_programs(int count) {
  int refused = 0;
  for (int i = 0; i < count; i++) {
    enum program_kind kind = (enum program_kind)random_below(3);
    size_t length = make_program(kind);
    CHECK(check_copy(kind, length, 0) == 0, "a program made from the schema is taken");
    CHECK(check_copy(kind == PROGRAM_RUN ? PROGRAM_START : PROGRAM_RUN, length, 0) < 0, "of another kind it is not");
    refused += check_copy(kind, length, 1) < 0;
  }
  CHECK(refused > count / 4, "damage is noticed");
}

static int check_of(const uint16_t *ops, size_t count, enum program_kind kind) {
  struct failure failure = {0};
  struct wire_writer out = wire_writer_of(room, sizeof room);
  for (size_t i = 0; i < count; i++) put_operation(&out, ops[i]);
  return program_check(kind, room, out.length, &failure);
}

#define CHECK_OF(kind, ...) \
  check_of((const uint16_t[]){__VA_ARGS__}, sizeof((const uint16_t[]){__VA_ARGS__}) / sizeof(uint16_t), kind)

static void test_shapes(void) {
  enum { C = BERTH_OP_CLONE, J = BERTH_OP_JOIN, B = BERTH_OP_INIT_BEGIN, X = BERTH_OP_EXEC };
  CHECK(CHECK_OF(PROGRAM_START, C, B, X) == 0, "the shortest START");
  CHECK(CHECK_OF(PROGRAM_EXEC, J, B, X) == 0, "the shortest EXEC");
  enum { W = BERTH_OP_AWAIT, N = BERTH_OP_NOTIFY, A = BERTH_OP_SECCOMP_AGENT };
  CHECK(CHECK_OF(PROGRAM_START, C, W, N, B, N, W, X) == 0, "both sides wait for each other");
  CHECK(CHECK_OF(PROGRAM_START, C, W, B, X) < 0, "a supervisor that nobody wakes");
  CHECK(CHECK_OF(PROGRAM_START, C, N, B, N, X) < 0, "an init that wakes nobody");
  CHECK(CHECK_OF(PROGRAM_RUN, W) < 0, "nobody to wait for");
  CHECK(CHECK_OF(PROGRAM_START, A, C, B, X) == 0, "a START with an agent");
  CHECK(CHECK_OF(PROGRAM_EXEC, A, J, B, X) < 0, "EXEC with an agent");
  CHECK(CHECK_OF(PROGRAM_START, C, C, B, X) < 0, "two CLONE");
  CHECK(CHECK_OF(PROGRAM_START, B, X) < 0, "no CLONE");
  CHECK(CHECK_OF(PROGRAM_START, J, B, X) < 0, "START with JOIN");
  CHECK(CHECK_OF(PROGRAM_EXEC, C, B, X) < 0, "EXEC with CLONE");
  CHECK(CHECK_OF(PROGRAM_START, C, B) < 0, "no EXEC");
  CHECK(CHECK_OF(PROGRAM_START, C, X) < 0, "no INIT_BEGIN");
  CHECK(CHECK_OF(PROGRAM_START, C, B, X, X) < 0, "something after EXEC");
  CHECK(CHECK_OF(PROGRAM_START, C, B, BERTH_OP_UNLINK, X) < 0, "a host operation in the init");
  CHECK(CHECK_OF(PROGRAM_START, BERTH_OP_PIVOT, C, B, X) < 0, "an init operation on the host");
  CHECK(CHECK_OF(PROGRAM_START, C, B, BERTH_OP_AWAIT, X) < 0, "AWAIT without NOTIFY");
  CHECK(CHECK_OF(PROGRAM_START, C, BERTH_OP_PASS_FDS, B, X) < 0, "PASS_FDS without TAKE_FDS");
}

static void test_strings(void) {
  static const uint8_t good[] = {2, 0, 0, 0, 'o', 'k', 0};
  static const uint8_t inner[] = {2, 0, 0, 0, 0, 'k', 0};
  static const uint8_t open_end[] = {2, 0, 0, 0, 'o', 'k', 'x'};
  static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 'o', 'k', 0};
  struct wire_reader reader = wire_reader_of(good, sizeof good);
  CHECK(strcmp(wire_string(&reader), "ok") == 0 && wire_is_done(&reader), "a string");
  reader = wire_reader_of(inner, sizeof inner);
  CHECK(*wire_string(&reader) == '\0' && reader.broken, "a string holds no NUL");
  reader = wire_reader_of(open_end, sizeof open_end);
  CHECK(*wire_string(&reader) == '\0' && reader.broken, "a string ends with NUL");
  reader = wire_reader_of(huge, sizeof huge);
  CHECK(*wire_string(&reader) == '\0' && reader.broken, "a string fits the message");
}

/* Sends the bytes in pieces of random length, reading between them. Returns the last answer of the inbox. */
static int send_in_pieces(struct wire_inbox *inbox, int ends[2], const uint8_t *bytes, size_t length) {
  int got = 0;
  for (size_t at = 0; at < length && got == 0;) {
    size_t piece = 1 + random_below(4000);
    if (piece > length - at) piece = length - at;
    ssize_t sent = write(ends[1], bytes + at, piece);
    CHECK(sent == (ssize_t)piece, "the socket takes the piece");
    at += piece;
    got = wire_inbox_read(inbox, ends[0]);
  }
  return got;
}

static void test_inbox(int count) {
  int ends[2];
  struct wire_inbox inbox = {0};
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0, "sockets");
  for (int i = 0; i < count; i++) {
    uint32_t length = random_below(3) == 0 ? 0 : random_below(20000);
    struct wire_header header = {.length = length, .id = (uint32_t)next_random(), .type = 7, .version = BERTH_PROTOCOL_VERSION};
    wire_header_put(room, header);
    for (uint32_t at = 0; at < length; at++) room[BERTH_HEADER_BYTES + at] = (uint8_t)next_random();
    CHECK(send_in_pieces(&inbox, ends, room, BERTH_HEADER_BYTES + length) == 1, "the message arrives");
    CHECK(inbox.header.id == header.id && inbox.header.length == length && inbox.header.type == 7, "its header");
    CHECK(length == 0 || memcmp(inbox.body, room + BERTH_HEADER_BYTES, length) == 0, "its body");
    wire_inbox_clear(&inbox);
  }
  wire_header_put(room, (struct wire_header){.length = BERTH_MESSAGE_BYTES_MAX + 1, .version = BERTH_PROTOCOL_VERSION});
  CHECK(send_in_pieces(&inbox, ends, room, BERTH_HEADER_BYTES) == -EPROTO, "too long a message is refused");
  wire_inbox_clear(&inbox);
  wire_header_put(room, (struct wire_header){.version = BERTH_PROTOCOL_VERSION + 1});
  CHECK(send_in_pieces(&inbox, ends, room, BERTH_HEADER_BYTES) == -EPROTO, "another version is refused");
  wire_inbox_clear(&inbox);
  wire_header_put(room, (struct wire_header){.length = 10, .version = BERTH_PROTOCOL_VERSION});
  CHECK(send_in_pieces(&inbox, ends, room, BERTH_HEADER_BYTES + 3) == 0, "half a message is not one");
  close(ends[1]);
  CHECK(wire_inbox_read(&inbox, ends[0]) == -EPIPE, "an end within a message is an error");
  wire_inbox_clear(&inbox);
  CHECK(wire_inbox_read(&inbox, ends[0]) == -ENODATA, "an end between messages is an end");
  close(ends[0]);
}

static int write_seeds(int count, const char *directory) {
  char path[4096];
  for (int i = 0; i < count; i++) {
    uint8_t kind = (uint8_t)random_below(3);
    size_t length = make_program((enum program_kind)kind);
    snprintf(path, sizeof path, "%s/program-%d", directory, i);
    FILE *file = fopen(path, "we");
    if (file == NULL) return 1;
    fwrite(&kind, 1, 1, file);
    fwrite(room, 1, length, file);
    if (fclose(file) != 0) return 1;
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 5 && strcmp(argv[1], "seeds") == 0) {
    seed_random(argv[2]);
    return write_seeds(atoi(argv[3]), argv[4]);
  }
  int count = argc > 2 ? atoi(argv[2]) : 20000;
  seed_random(argc > 1 ? argv[1] : "1");
  test_strings();
  test_shapes();
  test_programs(count);
  test_inbox(200);
  return report_checks("messages");
}
