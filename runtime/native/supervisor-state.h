/* What the parts of a supervisor share. One thread; nothing here blocks but the operations of a program. */
#ifndef BERTH_SUPERVISOR_STATE_H
#define BERTH_SUPERVISOR_STATE_H

#include <stdbool.h>
#include <sys/uio.h>

#include "exit-record.h"
#include "log-file.h"
#include "poll-set.h"
#include "program.h"

#define CLIENTS_MAX 64
#define SUBSCRIPTIONS_MAX 64
/* With more of it waiting for a client, output is dropped for that one, or not read where the client is an owner. */
#define OUTPUT_BYTES_MAX ((size_t)256 << 10)
/* With five descriptors each they stay below the usual limit of 1024. */
#define EXECS_MAX 128

enum container_state { CONTAINER_HELD = 0, CONTAINER_RUNNING = 1, CONTAINER_ENDED = 2 };

struct supervisor;
struct client;

/* One side of somebody's output. */
struct stream {
  int fd; /* -1: ended */
  uint32_t number; /* 1 stdout, 2 stderr */
};

/* A client's wish to hear of the first process: of its end, and for ATTACH of its output. */
struct subscription {
  uint32_t id;
  bool is_attach;
  uint32_t flags;
  uint64_t dropped; /* bytes of output that the client was too slow for */
};

/* A process that EXEC has started. */
struct exec {
  struct exec *next;
  struct client *client; /* NULL: nobody is interested (any more) */
  uint32_t id;
  uint32_t flags;
  pid_t pid;
  int pidfd;
  int channel;           /* -1 once it is the payload */
  bool is_ready;         /* CHANNEL_EXEC was seen */
  bool is_started;       /* STARTED was sent */
  bool has_failed;       /* ERROR was sent */
  bool has_ended;
  struct exit_status exit;
  int stdin_fd;
  int terminal;          /* master; its output is streams[0] */
  struct stream streams[2];
  size_t drained;        /* bytes read after its end */
  uint64_t kill_at_ms;   /* 0: not to be killed */
};

/* Bytes that a client has not taken yet. */
struct outbox {
  uint8_t *bytes;
  size_t start;
  size_t end;
};

struct client {
  struct client *next;
  int fd; /* -1: gone, freed at the end of the round */
  struct wire_inbox inbox;
  bool has_message;    /* the inbox holds an INPUT that is being written */
  size_t input_done;
  struct outbox outbox;
  struct subscription subscriptions[SUBSCRIPTIONS_MAX];
  size_t subscription_count;
  bool is_owner;       /* BERTH_ATTACH_OWNER, and not let go */
  bool owns_stdin;
  bool has_exit;       /* EXITED was sent */
  bool is_shut;        /* nothing more is sent */
};

struct supervisor {
  enum container_state state;
  pid_t pid;
  int pidfd;
  uint64_t start_time;
  uint64_t clone_flags;
  uint32_t root_uid;
  uint32_t root_gid;
  struct exit_status exit;
  uint64_t end_at_ms;      /* after the container's end: when to stop waiting for slow clients */

  int channel;             /* while held */
  bool is_ready;
  struct client *releaser;
  uint32_t release_id;

  int console_socket;      /* who gets the terminal; -1: nobody else */
  int seccomp_agent;       /* who gets the listener of the filter; -1: nobody */
  struct wire_reader agent_state;
  int stdin_fd;
  int terminal;
  struct stream streams[2];
  uint8_t (*lines)[LOG_LINE_BYTES_MAX]; /* of each stream, what is not logged yet */
  size_t line_bytes[2];

  struct log_file log;
  struct place exit_place;
  struct place socket_place;
  int listener;
  struct client *clients;
  size_t client_count;
  struct exec *execs;
  size_t exec_count;
  struct poll_set polled;
};

uint64_t monotonic_ms(void);
/* Makes a pipe whose `ours` (0: the reading side, 1: the writing side) does not block. 0 or -errno. */
int open_pipe(int ours, int *our_fd, int *their_fd);
void set_nonblocking(int fd);

/* supervisor-clients.c */
void clients_watch(struct supervisor *supervisor);
void clients_sweep(struct supervisor *supervisor);
void clients_accept_all(struct supervisor *supervisor);
void clients_say_goodbye(struct supervisor *supervisor);
void client_drop(struct supervisor *supervisor, struct client *client);

/* client-output.c: messages to one client. A client that lets too much pile up is dropped. */
void client_send(struct supervisor *supervisor, struct client *client, uint32_t id, uint16_t type,
                 const struct wire_writer *body);
void client_send_failure(struct supervisor *supervisor, struct client *client, uint32_t id,
                         const struct failure *failure);
void client_send_errno(struct supervisor *supervisor, struct client *client, uint32_t id, int error,
                       const char *object);
void client_send_output(struct supervisor *supervisor, struct client *client, uint32_t id, uint32_t stream,
                        const uint8_t *bytes, size_t length);
void client_send_exit(struct supervisor *supervisor, struct client *client, uint32_t id,
                      const struct exit_status *status);
void client_flush(struct supervisor *supervisor, struct client *client);
bool client_has_room(const struct client *client);
/* Some owner has more than this to take yet. */
bool owners_are_behind(const struct supervisor *supervisor, size_t bytes);
void outbox_free(struct outbox *outbox);
/* Output of the first process, to all that are attached; what a slow one has no room for is counted. */
void clients_broadcast(struct supervisor *supervisor, uint32_t stream, const uint8_t *bytes, size_t length);
void clients_tell_exit(struct supervisor *supervisor);

/* supervisor-exec.c */
void exec_begin(struct supervisor *supervisor, struct client *client);
void execs_watch(struct supervisor *supervisor);
void execs_sweep(struct supervisor *supervisor);
void execs_orphan(struct supervisor *supervisor, const struct client *client);
void execs_kill_all(struct supervisor *supervisor);
struct exec *exec_find(struct supervisor *supervisor, const struct client *client, uint32_t id);
/* Milliseconds until the next exec is to be killed, -1: none. */
int execs_timeout_ms(const struct supervisor *supervisor);

/* supervisor-requests.c: what a client asks. */
void request_serve(struct supervisor *supervisor, struct client *client);
void request_released(struct supervisor *supervisor, const struct failure *failure);
/* Where INPUT of this client with this id goes: a descriptor, or -1. */
int *request_input_target(struct supervisor *supervisor, struct client *client, uint32_t id, bool *is_terminal);

/* supervisor-signals.c: 0 or -errno. */
int signal_container(const struct supervisor *supervisor, int number, bool all);

/* supervisor-loop.c: serves until the container has ended and everybody knows. */
_Noreturn void supervisor_loop(struct supervisor *supervisor);

/* STARTED: the process and the supervisor, each with its start time. */
void wire_put_started(struct wire_writer *writer, pid_t pid);

#endif
