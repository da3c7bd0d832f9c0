/* The HTTP server of the demo and of the tests: static, one thread, and able to
 * misbehave on request.
 *
 *     web [--port 8080] [--name TEXT]
 *
 *     /                    name, hostname, $GREETING, requests served
 *     /healthz             ok
 *     /env /whoami         environment; ids, capabilities, seccomp, hostname, pid
 *     /burn?ms=            uses one CPU for so long (other requests are served meanwhile)
 *     /allocate?mib=       touches that much memory and keeps it
 *     /crash?code=         exits at once; /signal?n= dies of a signal
 *     /write?path=&text=   [&append=1]; /read?path=
 *     /log?text=           [&stream=stderr]
 *
 * SIGTERM and SIGINT end it with status 0.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 512
#define REQUEST_BYTES_MAX 16384
#define READ_BYTES_MAX (16 * 1024 * 1024)

extern char **environ;

struct text {
  char *data;
  size_t length, size;
};

struct connection {
  int fd; /* -1: free */
  char *request; /* REQUEST_BYTES_MAX, made for the first client of this place */
  size_t request_length;
  struct text answer;
  size_t sent;
  int64_t burn_until_ms; /* 0: not burning; the answer waits for it */
  bool close_after;
};

struct reply {
  int status;
  struct text body;
  int64_t burn_ms;
};

static struct connection *connections;
static const char *server_name = "web";
static unsigned long requests_served;
static volatile sig_atomic_t ending;

static void on_end(int number) {
  ending = number;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void append_bytes(struct text *text, const void *bytes, size_t length) {
  if (text->length + length + 1 > text->size) {
    text->size = (text->length + length + 1) * 2;
    text->data = realloc(text->data, text->size);
    if (!text->data) {
      perror("web: realloc");
      exit(70);
    }
  }
  memcpy(text->data + text->length, bytes, length);
  text->length += length;
  text->data[text->length] = 0;
}

__attribute__((format(printf, 2, 3))) static void append(struct text *text, const char *format,
                                                         ...) {
  char line[4096];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length >= (int)sizeof line) length = sizeof line - 1;
  if (length > 0) append_bytes(text, line, (size_t)length);
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* Copies the decoded value of a query parameter; false when it is not there. */
static bool parameter(const char *query, const char *key, char *value, size_t size) {
  size_t key_length = strlen(key);
  for (const char *at = query; at && *at; at = strchr(at, '&'), at = at ? at + 1 : NULL) {
    if (strncmp(at, key, key_length) != 0 || at[key_length] != '=') continue;
    const char *from = at + key_length + 1;
    size_t length = 0;
    while (*from && *from != '&' && length + 1 < size) {
      if (*from == '%' && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0) {
        value[length++] = (char)(hex_digit(from[1]) * 16 + hex_digit(from[2]));
        from += 3;
      } else {
        value[length++] = *from == '+' ? ' ' : *from;
        from++;
      }
    }
    value[length] = 0;
    return true;
  }
  return false;
}

static long number(const char *query, const char *key, long otherwise) {
  char value[32];
  return parameter(query, key, value, sizeof value) ? strtol(value, NULL, 10) : otherwise;
}

static void fail(struct reply *reply, int status, const char *what, int error) {
  reply->status = status;
  append(&reply->body, "%s: %s\n", what, strerror(error));
}

static void read_file(struct reply *reply, const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    fail(reply, errno == ENOENT ? 404 : 500, path, errno);
    return;
  }
  char chunk[65536];
  ssize_t got;
  while (reply->body.length < READ_BYTES_MAX && (got = read(fd, chunk, sizeof chunk)) != 0) {
    if (got < 0) {
      fail(reply, 500, path, errno);
      break;
    }
    append_bytes(&reply->body, chunk, (size_t)got);
  }
  close(fd);
}

static void write_file(struct reply *reply, const char *query) {
  char path[1024], text[8192] = "";
  if (!parameter(query, "path", path, sizeof path)) {
    fail(reply, 400, "path", EINVAL);
    return;
  }
  parameter(query, "text", text, sizeof text);
  int mode = number(query, "append", 0) ? O_APPEND : O_TRUNC;
  int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | mode, 0644);
  size_t length = strlen(text);
  if (fd < 0 || write(fd, text, length) != (ssize_t)length) fail(reply, 500, path, errno);
  else append(&reply->body, "%zu\n", length);
  if (fd >= 0) close(fd);
}

static void whoami(struct reply *reply) {
  static const char *const wanted[] = {"Uid",    "Gid",    "Groups", "CapInh",     "CapPrm",
                                       "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"};
  char hostname[256] = "", line[4096];
  gethostname(hostname, sizeof hostname - 1);
  append(&reply->body, "hostname: %s\npid: %d\nuid: %d\ngid: %d\n", hostname, getpid(), getuid(),
         getgid());
  FILE *status = fopen("/proc/self/status", "re");
  while (status && fgets(line, sizeof line, status)) {
    char *colon = strchr(line, ':');
    for (size_t i = 0; colon && i < sizeof wanted / sizeof *wanted; i++) {
      size_t length = strlen(wanted[i]);
      if ((size_t)(colon - line) == length && memcmp(line, wanted[i], length) == 0)
        append(&reply->body, "%s", line);
    }
  }
  if (status) fclose(status);
}

static void allocate(struct reply *reply, long mib) {
  size_t length = (size_t)(mib > 0 ? mib : 1) << 20;
  void *memory =
      mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    fail(reply, 507, "allocate", errno);
    return;
  }
  memset(memory, 0x5a, length);
  append(&reply->body, "%ld MiB kept\n", (long)(length >> 20));
}

/* PID 1 of a namespace is spared signals with default action, but not its own faults. */
static void die_of(int signal_number) {
  signal(signal_number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  kill(getpid(), signal_number);
  if (signal_number == SIGILL) __builtin_trap();
  volatile uintptr_t nowhere = 8;
  if (signal_number == SIGSEGV) *(volatile int *)nowhere = 1;
}

static void root_page(struct reply *reply) {
  char hostname[256] = "";
  gethostname(hostname, sizeof hostname - 1);
  const char *greeting = getenv("GREETING");
  append(&reply->body, "name: %s\nhostname: %s\ngreeting: %s\nrequests: %lu\n", server_name,
         hostname, greeting ? greeting : "", requests_served);
}

static void log_text(struct reply *reply, const char *query) {
  char text[8192] = "", stream[16] = "";
  parameter(query, "text", text, sizeof text);
  parameter(query, "stream", stream, sizeof stream);
  fprintf(strcmp(stream, "stderr") == 0 ? stderr : stdout, "%s\n", text);
  append(&reply->body, "logged\n");
}

static void route(struct reply *reply, const char *path, const char *query) {
  char file[1024];
  if (strcmp(path, "/") == 0) root_page(reply);
  else if (strcmp(path, "/healthz") == 0) append(&reply->body, "ok\n");
  else if (strcmp(path, "/env") == 0)
    for (char **at = environ; *at; at++) append(&reply->body, "%s\n", *at);
  else if (strcmp(path, "/burn") == 0) {
    reply->burn_ms = number(query, "ms", 100);
    append(&reply->body, "burned %ld ms\n", (long)reply->burn_ms);
  } else if (strcmp(path, "/allocate") == 0) allocate(reply, number(query, "mib", 1));
  else if (strcmp(path, "/crash") == 0) {
    fflush(stdout);
    _exit((int)number(query, "code", 1));
  } else if (strcmp(path, "/signal") == 0) {
    fflush(stdout);
    die_of((int)number(query, "n", SIGKILL));
    append(&reply->body, "survived\n");
  } else if (strcmp(path, "/write") == 0) write_file(reply, query);
  else if (strcmp(path, "/read") == 0 && parameter(query, "path", file, sizeof file))
    read_file(reply, file);
  else if (strcmp(path, "/whoami") == 0) whoami(reply);
  else if (strcmp(path, "/log") == 0) log_text(reply, query);
  else fail(reply, 404, path, ENOENT);
}

static void hang_up(struct connection *connection) {
  close(connection->fd);
  free(connection->answer.data);
  connection->fd = -1;
  connection->answer = (struct text){0};
}

/* Answers the request whose head ends at `head_length`; what follows it stays for the next turn. */
static void answer(struct connection *connection, size_t head_length) {
  char method[16] = "", target[8192] = "", version[16] = "";
  char *head = connection->request;
  head[head_length - 1] = 0;
  struct reply reply = {.status = 200};
  if (sscanf(head, "%15s %8191s %15s", method, target, version) != 3) {
    fail(&reply, 400, "request", EINVAL);
    connection->close_after = true;
  } else {
    requests_served++;
    char *query = strchr(target, '?');
    if (query) *query++ = 0;
    printf("%s %s%s%s\n", method, target, query ? "?" : "", query ? query : "");
    fflush(stdout);
    connection->close_after = strcmp(version, "HTTP/1.1") != 0 ||
                              strcasestr(head, "\nconnection: close") != NULL;
    route(&reply, target, query ? query : "");
  }
  fflush(stdout);
  append(&connection->answer,
         "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n%s\r\n",
         reply.status, reply.status < 300 ? "OK" : "Failed", reply.body.length,
         connection->close_after ? "Connection: close\r\n" : "");
  if (strcmp(method, "HEAD") != 0 && reply.body.length > 0)
    append_bytes(&connection->answer, reply.body.data, reply.body.length);
  free(reply.body.data);
  if (reply.burn_ms > 0) connection->burn_until_ms = now_ms() + reply.burn_ms;
  connection->request_length -= head_length;
  memmove(head, head + head_length, connection->request_length);
}

static void take_request(struct connection *connection) {
  if (connection->answer.length > 0) return; /* one at a time: the rest waits in the buffer */
  char *end = memmem(connection->request, connection->request_length, "\r\n\r\n", 4);
  if (end) answer(connection, (size_t)(end - connection->request) + 4);
  else if (connection->request_length == REQUEST_BYTES_MAX) hang_up(connection);
}

static void receive(struct connection *connection) {
  ssize_t got = read(connection->fd, connection->request + connection->request_length,
                     REQUEST_BYTES_MAX - connection->request_length);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    hang_up(connection);
    return;
  }
  connection->request_length += (size_t)got;
  take_request(connection);
}

static void transmit(struct connection *connection) {
  ssize_t put = send(connection->fd, connection->answer.data + connection->sent,
                     connection->answer.length - connection->sent, MSG_NOSIGNAL);
  if (put < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (put < 0) {
    hang_up(connection);
    return;
  }
  connection->sent += (size_t)put;
  if (connection->sent < connection->answer.length) return;
  if (connection->close_after) {
    hang_up(connection);
    return;
  }
  free(connection->answer.data);
  connection->answer = (struct text){0};
  connection->sent = 0;
  take_request(connection);
}

static void welcome(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
    struct connection *connection = &connections[i];
    if (connection->fd >= 0) continue;
    if (!connection->request) connection->request = malloc(REQUEST_BYTES_MAX);
    if (!connection->request) break;
    connection->fd = fd;
    connection->request_length = connection->sent = 0;
    connection->burn_until_ms = 0;
    connection->close_after = false;
    return;
  }
  close(fd);
}

static int listen_on(int port) {
  int on = 1, off = 0;
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
  if (fd >= 0) {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, (struct sockaddr *)&six, sizeof six) == 0 && listen(fd, 512) == 0) return fd;
    close(fd);
  }
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&four, sizeof four) == 0 && listen(fd, 512) == 0) return fd;
  close(fd);
  return -1;
}

/* One turn: waits, serves who is ready, and burns a slice of CPU for those who asked for it. */
static void turn(int listener, const sigset_t *while_waiting) {
  static struct pollfd polled[CONNECTIONS_MAX + 1];
  static const struct timespec at_once = {0};
  bool burning = false;
  int64_t now = now_ms();
  polled[0] = (struct pollfd){.fd = listener, .events = POLLIN};
  for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
    struct connection *connection = &connections[i];
    if (connection->burn_until_ms <= now) connection->burn_until_ms = 0;
    bool waits = connection->fd >= 0 && connection->burn_until_ms != 0;
    burning = burning || waits;
    polled[i + 1] = (struct pollfd){.fd = waits ? -1 : connection->fd,
                                    .events = connection->answer.length > 0 ? POLLOUT : POLLIN};
  }
  int ready = ppoll(polled, CONNECTIONS_MAX + 1, burning ? &at_once : NULL, while_waiting);
  for (size_t i = 0; ready > 0 && i < CONNECTIONS_MAX; i++) {
    struct connection *connection = &connections[i];
    if (connection->fd < 0 || polled[i + 1].fd < 0 || !polled[i + 1].revents) continue;
    if (connection->answer.length > 0) transmit(connection);
    else receive(connection);
  }
  if (ready > 0 && polled[0].revents) welcome(listener);
  int64_t slice_end = now_ms() + 1;
  while (burning && now_ms() < slice_end) continue;
}

int main(int argc, char **argv) {
  int port = 8080;
  for (int i = 1; i < argc; i += 2) {
    if (strcmp(argv[i], "--port") == 0 && i + 1 < argc) port = atoi(argv[i + 1]);
    else if (strcmp(argv[i], "--name") == 0 && i + 1 < argc) server_name = argv[i + 1];
    else {
      fprintf(stderr, "usage: web [--port PORT] [--name TEXT]\n");
      return 2;
    }
  }
  /* Let in only while waiting: none slips in between the check and the wait. */
  sigset_t ends, while_waiting;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigprocmask(SIG_BLOCK, &ends, &while_waiting);
  sigdelset(&while_waiting, SIGTERM);
  sigdelset(&while_waiting, SIGINT);
  struct sigaction action = {.sa_handler = on_end};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  connections = calloc(CONNECTIONS_MAX, sizeof *connections);
  for (size_t i = 0; connections && i < CONNECTIONS_MAX; i++) connections[i].fd = -1;
  int listener = listen_on(port);
  if (!connections || listener < 0) {
    fprintf(stderr, "web: cannot listen on port %d: %s\n", port, strerror(errno));
    return 1;
  }
  fprintf(stderr, "web: %s listens on port %d\n", server_name, port);
  while (!ending) turn(listener, &while_waiting);
  fprintf(stderr, "web: ends on signal %d\n", (int)ending);
  return 0;
}
