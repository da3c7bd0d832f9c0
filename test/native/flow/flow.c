/* The helper at work: real namespaces, mounts and processes, asked for as the agent asks.
 *
 *     flow HELPER DIRECTORY PIDS    DIRECTORY/layer holds the payload; supervisors are listed in PIDS
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../runtime/native/kernel-abi.h"
#include "../check.h"
#include "talk.h"

#define ID_BASE 700000
#define FLAGS                                                                                        \
  ((uint64_t)(CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS))
#define CAPABILITIES ((uint64_t)0x800405fb)
enum { SLOT_USER, SLOT_ROOT, SLOT_NULL, SLOT_EMPTY, SLOT_PROC, SLOT_DEV, SLOT_PTS, SLOT_EXTRA };

static const char *directory;
static struct talk launcher;
static FILE *pids;
static char text[1 << 16];

/* What a test changes about the usual container. */
struct variant {
  const char *name;
  const char *program[4];
  uint32_t flags;
  bool reaps;
  const char *mounts_on;   /* one more tmpfs */
  const char *changes_to;  /* working directory */
};

struct container {
  char name[32];
  uint32_t pid;
  uint32_t supervisor;
};

static const char *place(const char *name, const char *suffix) {
  static char paths[4][256];
  static unsigned next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s%s", directory, name, suffix);
  return path;
}

static const char *contents(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  text[got > 0 ? got : 0] = '\0';
  return text;
}

static void pause_ms(long ms) {
  struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

/* Polls for five seconds: 1 when the file is there (or gone). */
static int becomes(const char *path, int present) {
  for (int i = 0; i < 500; i++) {
    if ((access(path, F_OK) == 0) == present) return 1;
    pause_ms(10);
  }
  return 0;
}

/* Ended, though perhaps not reaped by whoever inherited it. */
static int ends(uint32_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%u/stat", pid);
  for (int i = 0; i < 500; i++) {
    if (strstr(contents(path), ") Z ") != NULL || text[0] == '\0') return 1;
    pause_ms(10);
  }
  return 0;
}

static void put_exec(struct wire_writer *out, const char *const program[4]) {
  static const struct sock_filter allow = {.code = BPF_RET | BPF_K, .k = SECCOMP_RET_ALLOW};
  uint8_t bytes[1024];
  struct wire_writer list = wire_writer_of(bytes, sizeof bytes);
  uint32_t count = 0;
  while (count < 4 && program[count] != NULL) count++;
  put_operation(out, BERTH_OP_SECCOMP, "wb", 0, &allow, sizeof allow);
  put_operation(out, BERTH_OP_IDS, "www", 0, 0, 0);
  put_operation(out, BERTH_OP_CAPABILITIES, "qqqqq", CAPABILITIES, CAPABILITIES, CAPABILITIES, (uint64_t)0, (uint64_t)0);
  put_operation(out, BERTH_OP_NO_NEW_PRIVS, "");
  put(&list, "w", count);
  for (uint32_t i = 0; i < count; i++) put(&list, "s", program[i]);
  put(&list, "ws", 1, "PATH=/bin");
  wire_put_u32(out, BERTH_OP_EXEC);
  wire_put_u32(out, (uint32_t)list.length);
  put_all(out, &list);
}

static void put_host_part(struct wire_writer *out) {
  char map[64];
  snprintf(map, sizeof map, "0 %d 65536\n", ID_BASE);
  put_operation(out, BERTH_OP_USER_NAMESPACE, "wss", SLOT_USER, map, map);
  put_operation(out, BERTH_OP_OPEN_TREE, "wwwqws", SLOT_ROOT, BERTH_SLOT_NONE, OPEN_TREE_CLONE, (uint64_t)0, S_IFDIR,
                place("layer", ""));
  put_operation(out, BERTH_OP_MOUNT_SETATTR, "wwqqqw", SLOT_ROOT, 0, (uint64_t)0, (uint64_t)0, (uint64_t)0, SLOT_USER);
  put_operation(out, BERTH_OP_OPEN_TREE, "wwwqws", SLOT_NULL, BERTH_SLOT_NONE, OPEN_TREE_CLONE,
                (uint64_t)makedev(1, 3), S_IFCHR, "/dev/null");
  put_operation(out, BERTH_OP_FSOPEN, "wsqw", SLOT_EMPTY, "tmpfs", (uint64_t)MOUNT_ATTR_RDONLY, 0);
  put_operation(out, BERTH_OP_CLONE, "qw", FLAGS, BERTH_SLOT_NONE);
  put_operation(out, BERTH_OP_ID_MAP, "ss", map, map);
  put_operation(out, BERTH_OP_PASS_FDS, "");
  put_operation(out, BERTH_OP_NOTIFY, "");
  put_operation(out, BERTH_OP_INIT_BEGIN, "");
}

static void put_mounts(struct wire_writer *out) {
  put_operation(out, BERTH_OP_PRIVATE_MOUNTS, "");
  put_operation(out, BERTH_OP_ATTACH_ROOT, "ws", SLOT_ROOT, place("staging", ""));
  put_operation(out, BERTH_OP_FSOPEN, "wsqw", SLOT_PROC, "proc", (uint64_t)MOUNT_ATTR_NOSUID, 0);
  put_operation(out, BERTH_OP_MOUNT, "wwws", SLOT_PROC, 0, 0, "/proc");
  put_operation(out, BERTH_OP_FSOPEN, "wsqw", SLOT_DEV, "tmpfs", (uint64_t)MOUNT_ATTR_NOSUID, 0);
  put_operation(out, BERTH_OP_MOUNT, "wwws", SLOT_DEV, 0, 0, "/dev");
  put_operation(out, BERTH_OP_FSOPEN, "wsqwwssw", SLOT_PTS, "devpts", (uint64_t)MOUNT_ATTR_NOSUID, 1, BERTH_FS_STRING,
                "ptmxmode", "0666", BERTH_SLOT_NONE);
  put_operation(out, BERTH_OP_MOUNT, "wwws", SLOT_PTS, 1, 0755, "/dev/pts");
  put_operation(out, BERTH_OP_MASK, "wws", SLOT_NULL, SLOT_EMPTY, "/proc/interrupts");
  put_operation(out, BERTH_OP_MASK, "wws", SLOT_NULL, SLOT_EMPTY, "/proc/acpi");
  put_operation(out, BERTH_OP_READ_ONLY, "s", "/proc/sys");
}

static void put_program(struct wire_writer *out, const struct variant *variant) {
  put_host_part(out);
  put_operation(out, BERTH_OP_TAKE_FDS, "");
  put_operation(out, BERTH_OP_AWAIT, "");
  put_mounts(out);
  if (variant->mounts_on != NULL) {
    put_operation(out, BERTH_OP_FSOPEN, "wsqw", SLOT_EXTRA, "tmpfs", (uint64_t)0, 0);
    put_operation(out, BERTH_OP_MOUNT, "wwws", SLOT_EXTRA, 1, 0755, variant->mounts_on);
  }
  if ((variant->flags & BERTH_START_TTY) != 0) put_operation(out, BERTH_OP_TTY, "ww", 24, 80);
  put_operation(out, BERTH_OP_PIVOT, "");
  if (variant->reaps) put_operation(out, BERTH_OP_REAP, "");
  put_operation(out, BERTH_OP_SESSION, "");
  put_operation(out, BERTH_OP_CHDIR, "ws", 0, variant->changes_to == NULL ? "/tmp" : variant->changes_to);
  put_operation(out, BERTH_OP_HOLD, "");
  put_exec(out, variant->program);
}

static struct message ask_start(const struct variant *variant) {
  static uint8_t bytes[65536];
  struct wire_writer body = wire_writer_of(bytes, sizeof bytes);
  put(&body, "s", variant->name);
  put(&body, "s", place(variant->name, ".sock"));
  put(&body, "s", place(variant->name, ".exit"));
  put(&body, "s", place(variant->name, ".log"));
  put(&body, "qww", (uint64_t)1000000, 2, variant->flags);
  put_program(&body, variant);
  talk_send(&launcher, 1, BERTH_MSG_START, &body);
  return talk_receive(&launcher);
}

static struct container begin(const struct variant *variant) {
  struct container container = {0};
  struct message answer = ask_start(variant);
  snprintf(container.name, sizeof container.name, "%s", variant->name);
  if (answer.type == BERTH_MSG_STARTED) {
    container.pid = wire_u32(&answer.fields);
    wire_u64(&answer.fields);
    container.supervisor = wire_u32(&answer.fields);
    fprintf(pids, "%u\n", container.supervisor);
    fflush(pids);
  } else if (answer.type == BERTH_MSG_ERROR) {
    uint32_t stage = wire_u32(&answer.fields), op = wire_u32(&answer.fields), number = wire_u32(&answer.fields);
    const char *object = wire_string(&answer.fields);
    printf("  stage %u op %u: %s: %s (%s)\n", stage, op, object, strerror((int)number), wire_string(&answer.fields));
  }
  CHECK(answer.type == BERTH_MSG_STARTED && container.pid > 0, variant->name);
  return container;
}

/* Waits for the exit record, and for everything but the files to be gone. */
static const char *ending(const struct container *container) {
  static char record[256];
  CHECK(becomes(place(container->name, ".exit"), 1), "the exit record is written");
  CHECK(becomes(place(container->name, ".sock"), 0), "the socket is removed");
  CHECK(ends(container->supervisor), "the supervisor ends");
  snprintf(record, sizeof record, "%s", contents(place(container->name, ".exit")));
  return record;
}

static void send_signal(struct talk *talk, uint32_t number, uint32_t all) {
  uint8_t bytes[8];
  struct wire_writer body = wire_writer_of(bytes, sizeof bytes);
  put(&body, "ww", number, all);
  talk_send(talk, 90, BERTH_MSG_SIGNAL, &body);
  CHECK(talk_expect(talk, BERTH_MSG_DONE).id == 90, "the signal is sent");
}

static void stop(const struct container *container) {
  struct talk talk = connect_to(place(container->name, ".sock"));
  send_signal(&talk, SIGKILL, 0);
  talk_close(&talk);
  CHECK(strstr(ending(container), "\"signal\":9,") != NULL, "SIGKILL is in the record");
}

static void test_run(void) {
  struct container one = begin(&(struct variant){.name = "say", .program = {"payload", "say"}});
  CHECK(strstr(ending(&one), "{\"known\":true,\"code\":7,\"signal\":0,\"finishedAtMs\":1") != NULL, "its code is recorded");
  contents(place("say", ".log"));
  CHECK(strstr(text, "{\"log\":\"out\\n\",\"stream\":\"stdout\"") != NULL, "its output is logged");
  CHECK(strstr(text, "{\"log\":\"err\\n\",\"stream\":\"stderr\"") != NULL, "its errors too");
}

static void test_privileges(void) {
  struct container one = begin(&(struct variant){.name = "status", .program = {"/bin/payload", "status"}});
  ending(&one);
  contents(place("status", ".log"));
  static const char *const wanted[] = {
      "Uid:\\t0\\t0\\t0\\t0\\n", "CapInh:\\t0000000000000000", "CapPrm:\\t00000000800405fb", "CapEff:\\t00000000800405fb",
      "CapBnd:\\t00000000800405fb", "CapAmb:\\t0000000000000000", "NoNewPrivs:\\t1", "Seccomp:\\t2",
      "descriptors 3\\n", "cwd /tmp\\n", "pid 1\\n", "reopened 1\\n", "masked 1\\n", "outside 0\\n", "Groups:\\t \\n",
  };
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) CHECK(strstr(text, wanted[i]) != NULL, wanted[i]);
}

static void expect_failure(const struct variant *variant, uint32_t stage, uint32_t op, uint32_t number,
                           const char *object) {
  struct message answer = ask_start(variant);
  CHECK(answer.type == BERTH_MSG_ERROR, "it fails");
  CHECK(wire_u32(&answer.fields) == stage, "at its stage");
  CHECK(wire_u32(&answer.fields) == op, "in its operation");
  CHECK(wire_u32(&answer.fields) == number, "with its errno");
  CHECK(strcmp(wire_string(&answer.fields), object) == 0, object);
  CHECK(access(place(variant->name, ".sock"), F_OK) < 0, "no socket is left");
  CHECK(access(place(variant->name, ".exit"), F_OK) < 0, "no record is left");
}

static void test_failures(void) {
  expect_failure(&(struct variant){.name = "absent", .program = {"nowhere"}}, BERTH_STAGE_EXEC, BERTH_OP_EXEC, ENOENT,
                 "nowhere");
  expect_failure(&(struct variant){.name = "denied", .program = {"/tmp"}}, BERTH_STAGE_EXEC, BERTH_OP_EXEC, EACCES,
                 "/tmp");
  expect_failure(&(struct variant){.name = "format", .program = {"/bin/text"}}, BERTH_STAGE_EXEC, BERTH_OP_EXEC, ENOEXEC,
                 "/bin/text");
  expect_failure(&(struct variant){.name = "cwd", .program = {"payload"}, .changes_to = "/none"}, BERTH_STAGE_INIT,
                 BERTH_OP_CHDIR, ENOENT, "/none");
  expect_failure(&(struct variant){.name = "magic", .program = {"payload"}, .changes_to = "/proc/self/root"},
                 BERTH_STAGE_INIT, BERTH_OP_CHDIR, ELOOP, "/proc/self/root");
  CHECK(waitpid(-1, NULL, WNOHANG) == 0, "the launcher lives on");
}

/* The layer has a link "trap" to a directory of the host: what is mounted there stays in the container. */
static void test_hostile_link(void) {
  struct container one =
      begin(&(struct variant){.name = "link", .program = {"payload", "say"}, .mounts_on = "/trap"});
  ending(&one);
  CHECK(access(place("layer", "/tmp/caught"), F_OK) == 0, "the link is followed within the root");
}

static void test_hold(void) {
  struct container one =
      begin(&(struct variant){.name = "held", .program = {"payload", "say"}, .flags = BERTH_START_HOLD});
  struct talk talk = connect_to(place("held", ".sock"));
  talk_send(&talk, 1, BERTH_MSG_STATUS, NULL);
  struct message state = talk_expect(&talk, BERTH_MSG_STATE);
  CHECK(wire_u32(&state.fields) == 0 && wire_u32(&state.fields) == one.pid, "it is held");
  CHECK(access(place("held", ".exit"), F_OK) < 0, "and has not begun");
  talk_send(&talk, 2, BERTH_MSG_RELEASE, NULL);
  CHECK(talk_expect(&talk, BERTH_MSG_DONE).id == 2, "it is released");
  struct message exit = talk_expect(&talk, BERTH_MSG_EXITED);
  CHECK(exit.id == 1 && wire_u32(&exit.fields) == 1 && wire_u32(&exit.fields) == 7, "its end is told");
  CHECK(access(place("held", ".exit"), F_OK) == 0, "after it is recorded");
  talk_close(&talk);
  ending(&one);
}

static void ask_exec(struct talk *talk, uint32_t id, uint32_t flags, const char *const program[4]) {
  static uint8_t bytes[65536];
  struct wire_writer body = wire_writer_of(bytes, sizeof bytes);
  put(&body, "w", flags);
  put_operation(&body, BERTH_OP_JOIN, "ww", (uint32_t)FLAGS, BERTH_SLOT_NONE);
  put_operation(&body, BERTH_OP_NOTIFY, "");
  put_operation(&body, BERTH_OP_INIT_BEGIN, "");
  put_operation(&body, BERTH_OP_AWAIT, "");
  if ((flags & BERTH_EXEC_TTY) != 0) put_operation(&body, BERTH_OP_TTY, "ww", 30, 90);
  put_operation(&body, BERTH_OP_SESSION, "");
  put_operation(&body, BERTH_OP_CHDIR, "ws", 0, "/tmp");
  put_exec(&body, program);
  talk_send(talk, id, BERTH_MSG_EXEC, &body);
}

static void send_input(struct talk *talk, uint32_t id, const void *bytes, size_t length) {
  static uint8_t room[1 << 20];
  struct wire_writer body = wire_writer_of(room, sizeof room);
  put(&body, "b", bytes, length);
  talk_send(talk, id, BERTH_MSG_INPUT, &body);
}

/* All OUTPUT of this id until EXITED, in `text`; returns the exit code, the signal + 1000, or -1. */
static int collect(struct talk *talk, uint32_t id) {
  size_t have = 0;
  for (;;) {
    struct message message = talk_receive(talk);
    uint32_t length;
    if (message.type == 0 || message.type == 0xffff) return -1;
    if (message.id != id) continue;
    if (message.type == BERTH_MSG_OUTPUT) {
      wire_u32(&message.fields);
      const uint8_t *bytes = wire_bytes(&message.fields, &length);
      if (have + length < sizeof text) memcpy(text + have, bytes, length);
      have += length;
      text[have < sizeof text ? have : sizeof text - 1] = '\0';
    }
    if (message.type != BERTH_MSG_EXITED) continue;
    if (have == 0) text[0] = '\0';
    wire_u32(&message.fields);
    int code = (int)wire_u32(&message.fields), number = (int)wire_u32(&message.fields);
    return number == 0 ? code : 1000 + number;
  }
}

static void test_exec_pipes(struct talk *talk) {
  ask_exec(talk, 5, BERTH_EXEC_STDIN, (const char *const[4]){"payload", "copy"});
  CHECK(talk_expect(talk, BERTH_MSG_STARTED).id == 5, "an exec starts");
  send_input(talk, 5, "abc", 3);
  send_input(talk, 5, "", 0);
  CHECK(collect(talk, 5) == 3 && strcmp(text, "abc") == 0, "input comes back as output");
  static char much[600000];
  memset(much, 'm', sizeof much);
  ask_exec(talk, 6, BERTH_EXEC_STDIN, (const char *const[4]){"payload", "copy"});
  send_input(talk, 6, much, sizeof much);
  talk_send(talk, 6, BERTH_MSG_INPUT, NULL);
  size_t got = 0;
  for (struct message message = talk_receive(talk); message.type != BERTH_MSG_EXITED; message = talk_receive(talk)) {
    if (message.type == 0 || message.type == 0xffff) break;
    if (message.type == BERTH_MSG_OUTPUT) got += message.length - 9;
  }
  CHECK(got == sizeof much, "more input than pipes hold is waited with, not lost");
  ask_exec(talk, 7, 0, (const char *const[4]){"nowhere"});
  struct message error = talk_expect(talk, BERTH_MSG_ERROR);
  CHECK(error.id == 7 && wire_u32(&error.fields) == BERTH_STAGE_EXEC, "a missing command is told");
  ask_exec(talk, 8, 0, (const char *const[4]){"payload", "status"});
  CHECK(collect(talk, 8) == 0 && strstr(text, "descriptors 3\n") && strstr(text, "CapEff:\t00000000800405fb") &&
            strstr(text, "Uid:\t0\t0\t0\t0") && strstr(text, "reopened 1"),
        "an exec has what the first process has");
}

static void test_exec_terminal(struct talk *talk) {
  uint8_t bytes[8];
  struct wire_writer size = wire_writer_of(bytes, sizeof bytes);
  put(&size, "ww", 11, 22);
  ask_exec(talk, 9, BERTH_EXEC_TTY | BERTH_EXEC_STDIN, (const char *const[4]){"payload", "terminal"});
  CHECK(talk_expect(talk, BERTH_MSG_STARTED).id == 9, "an exec with a terminal starts");
  talk_expect(talk, BERTH_MSG_OUTPUT);
  talk_send(talk, 9, BERTH_MSG_RESIZE, &size);
  send_input(talk, 9, "\n", 1);
  CHECK(collect(talk, 9) == 4 && strstr(text, "terminal 1 11 22 1") != NULL, "which is its own and can be resized");
}

static void test_exec_signals(struct talk *talk) {
  uint8_t bytes[4];
  struct wire_writer number = wire_writer_of(bytes, sizeof bytes);
  put(&number, "w", (uint32_t)SIGUSR1);
  ask_exec(talk, 10, 0, (const char *const[4]){"payload", "wait"});
  talk_expect(talk, BERTH_MSG_OUTPUT);
  talk_send(talk, 10, BERTH_MSG_EXEC_SIGNAL, &number);
  CHECK(collect(talk, 10) == SIGUSR1, "an exec gets its signal");
  struct talk other = connect_to(place("host", ".sock"));
  ask_exec(&other, 1, 0, (const char *const[4]){"payload", "wait"});
  struct message started = talk_expect(&other, BERTH_MSG_STARTED);
  uint32_t pid = wire_u32(&started.fields);
  talk_close(&other);
  CHECK(pid > 0 && ends(pid), "an exec ends with its client");
}

static void test_exec(void) {
  struct container one = begin(&(struct variant){.name = "host", .program = {"payload", "wait"}});
  struct talk talk = connect_to(place("host", ".sock"));
  test_exec_pipes(&talk);
  test_exec_terminal(&talk);
  test_exec_signals(&talk);
  ask_exec(&talk, 11, 0, (const char *const[4]){"payload", "wait"});
  talk_expect(&talk, BERTH_MSG_OUTPUT);
  stop(&one);
  CHECK(collect(&talk, 11) == 1000 + SIGKILL, "an exec ends with its container");
  talk_close(&talk);
}

static void test_attach(void) {
  uint8_t bytes[4];
  struct wire_writer flags = wire_writer_of(bytes, sizeof bytes);
  struct container one = begin(&(struct variant){
      .name = "flood", .program = {"payload", "flood", "8000000"}, .flags = BERTH_START_HOLD});
  struct talk slow = connect_to(place("flood", ".sock"));
  put(&flags, "w", (uint32_t)BERTH_ATTACH_OUTPUT);
  talk_send(&slow, 1, BERTH_MSG_ATTACH, &flags);
  struct message attached = talk_receive(&slow);
  CHECK(attached.type == BERTH_MSG_STARTED && wire_u32(&attached.fields) == one.pid, "attaching is answered");
  talk_send(&slow, 2, BERTH_MSG_RELEASE, NULL);
  CHECK(becomes(place("flood", ".exit"), 1), "a reader that reads nothing holds nobody up");
  uint64_t got = 0, dropped = 0;
  for (struct message message = talk_receive(&slow); message.type != BERTH_MSG_EXITED; message = talk_receive(&slow)) {
    uint32_t length;
    if (message.type == 0 || message.type == 0xffff) break;
    if (message.type != BERTH_MSG_OUTPUT) continue;
    uint32_t stream = wire_u32(&message.fields);
    const uint8_t *output = wire_bytes(&message.fields, &length);
    struct wire_reader count = wire_reader_of(output, length);
    if (stream == 0) dropped += wire_u64(&count);
    else got += length;
  }
  CHECK(dropped > 0 && got + dropped == 8000000, "and is told how much it missed");
  talk_close(&slow);
  ending(&one);
  struct stat first, second;
  CHECK(stat(place("flood", ".log"), &first) == 0 && stat(place("flood", ".log.1"), &second) == 0 &&
            first.st_size < 1000300 && second.st_size < 1000300,
        "the log keeps to its files");
}

static void test_terminal(void) {
  uint8_t bytes[8];
  struct wire_writer flags = wire_writer_of(bytes, sizeof bytes);
  struct container one = begin(&(struct variant){
      .name = "terminal", .program = {"payload", "terminal"}, .flags = BERTH_START_TTY | BERTH_START_STDIN});
  struct talk talk = connect_to(place("terminal", ".sock"));
  put(&flags, "w", (uint32_t)(BERTH_ATTACH_OUTPUT | BERTH_ATTACH_STDIN));
  talk_send(&talk, 1, BERTH_MSG_ATTACH, &flags);
  send_input(&talk, 1, "\n", 1);
  CHECK(collect(&talk, 1) == 4, "input reaches the first process");
  talk_close(&talk);
  ending(&one);
  CHECK(strstr(contents(place("terminal", ".log")), "terminal 1 24 80 1") != NULL, "which has a terminal");
}

static void test_reaper(void) {
  struct container one = begin(&(struct variant){.name = "reaped", .program = {"payload", "wait"}, .reaps = true});
  for (int i = 0; i < 500 && strstr(contents(place("reaped", ".log")), "ready 2") == NULL; i++) pause_ms(10);
  struct talk talk = connect_to(place("reaped", ".sock"));
  send_signal(&talk, SIGTERM, 0);
  talk_close(&talk);
  CHECK(strstr(ending(&one), "\"code\":15,\"signal\":0") != NULL, "PID 1 forwards signals and passes on the code");
}

static void test_signal_all(void) {
  struct container one = begin(&(struct variant){.name = "all", .program = {"payload", "wait"}});
  struct talk talk = connect_to(place("all", ".sock"));
  ask_exec(&talk, 1, 0, (const char *const[4]){"payload", "wait"});
  talk_expect(&talk, BERTH_MSG_OUTPUT);
  send_signal(&talk, SIGUSR1, 1);
  CHECK(strstr(ending(&one), "\"code\":10,\"signal\":0") != NULL, "a signal to all reaches the first process");
  talk_close(&talk);
}

static void test_deaths(const char *helper) {
  pid_t pid;
  struct talk first = launcher;
  launcher = launch(helper, &pid);
  struct container one = begin(&(struct variant){.name = "orphan", .program = {"payload", "wait"}});
  struct container two = begin(&(struct variant){.name = "widow", .program = {"payload", "wait"}});
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  talk_close(&launcher);
  launcher = first;
  stop(&one);
  kill((pid_t)two.supervisor, SIGKILL);
  CHECK(ends(two.pid), "a container ends with its supervisor");
  CHECK(access(place("widow", ".exit"), F_OK) < 0, "whose record nobody makes up");
  unlink(place("widow", ".sock"));
}

static void test_size(void) {
  char path[64];
  struct container one = begin(&(struct variant){.name = "small", .program = {"payload", "wait"}});
  snprintf(path, sizeof path, "/proc/%u/smaps_rollup", one.supervisor);
  const char *line = strstr(contents(path), "Private_Dirty:");
  CHECK(line != NULL && atoi(line + 14) < 150, "a supervisor has little memory of its own (KiB)");
  stop(&one);
}

int main(int argc, char **argv) {
  pid_t pid;
  int status;
  if (argc < 4) return 2;
  directory = argv[2];
  pids = fopen(argv[3], "ae");
  signal(SIGPIPE, SIG_IGN);
  launcher = launch(argv[1], &pid);
  test_run();
  test_privileges();
  test_failures();
  test_hostile_link();
  test_hold();
  test_exec();
  test_attach();
  test_terminal();
  test_reaper();
  test_signal_all();
  test_deaths(argv[1]);
  if (argc == 4) test_size();
  talk_close(&launcher);
  CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0, "the launcher ends with the agent");
  fclose(pids);
  return report_checks("flow");
}
