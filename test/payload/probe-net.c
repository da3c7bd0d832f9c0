/* What a process can do on its network, one verb per run:
 *
 *     tcp HOST PORT [TEXT]     connects, sends TEXT and a newline, prints the reply
 *     tcp-serve PORT [TEXT]    answers every client with TEXT (its own address without one)
 *     udp HOST PORT TEXT       sends one datagram, prints the answer
 *     udp-echo PORT            sends back what comes
 *     hold-port PORT           listens and answers nothing
 *     resolve NAME             the address that /etc/hosts gives
 *     interfaces               name, flags and address of each
 *     socket-families          every address family: ok or the error
 *
 * HOST is an IPv4 or IPv6 address or a name of /etc/hosts. Every wait ends after five seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

union address {
  struct sockaddr any;
  struct sockaddr_in four;
  struct sockaddr_in6 six;
};

static int failed(const char *what) {
  fprintf(stderr, "probe-net: %s: %s\n", what, strerror(errno));
  return 1;
}

/* The address that /etc/hosts gives to the name, as text. */
static int look_up(const char *name, char *address, size_t size) {
  char line[1024];
  FILE *hosts = fopen("/etc/hosts", "re");
  if (!hosts) return -1;
  int found = -1;
  while (found < 0 && fgets(line, sizeof line, hosts)) {
    line[strcspn(line, "#\n")] = 0;
    char *rest = NULL, *first = strtok_r(line, " \t", &rest), *alias;
    while (first && (alias = strtok_r(NULL, " \t", &rest)) != NULL) {
      if (strcasecmp(alias, name) != 0) continue;
      snprintf(address, size, "%s", first);
      found = 0;
      break;
    }
  }
  fclose(hosts);
  if (found < 0) errno = ENOENT;
  return found;
}

static int parse(const char *host, const char *port, union address *address, socklen_t *length) {
  char text[256];
  snprintf(text, sizeof text, "%s", host);
  memset(address, 0, sizeof *address);
  for (int turn = 0; turn < 2; turn++) {
    if (inet_pton(AF_INET, text, &address->four.sin_addr) == 1) {
      address->four.sin_family = AF_INET;
      address->four.sin_port = htons((uint16_t)atoi(port));
      *length = sizeof address->four;
      return 0;
    }
    if (inet_pton(AF_INET6, text, &address->six.sin6_addr) == 1) {
      address->six.sin6_family = AF_INET6;
      address->six.sin6_port = htons((uint16_t)atoi(port));
      *length = sizeof address->six;
      return 0;
    }
    if (look_up(host, text, sizeof text) < 0) return -1;
  }
  errno = EINVAL;
  return -1;
}

static int open_socket(int family, int type) {
  int fd = socket(family, type | SOCK_CLOEXEC, 0), on = 1;
  struct timeval limit = {.tv_sec = 5};
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  return fd;
}

static int open_server(int type, const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  int fd = open_socket(AF_INET, type);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0) return -1;
  struct timeval none = {0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
  if (type == SOCK_STREAM && listen(fd, 64) < 0) return -1;
  printf("ready\n");
  fflush(stdout);
  return fd;
}

static int run_tcp(int argc, char **argv) {
  union address address;
  socklen_t length;
  if (parse(argv[0], argv[1], &address, &length) < 0) return failed(argv[0]);
  int fd = open_socket(address.any.sa_family, SOCK_STREAM);
  if (fd < 0 || connect(fd, &address.any, length) < 0) return failed("connect");
  if (argc > 2) dprintf(fd, "%s\n", argv[2]);
  shutdown(fd, SHUT_WR);
  char chunk[4096];
  ssize_t got;
  while ((got = read(fd, chunk, sizeof chunk)) > 0) fwrite(chunk, 1, (size_t)got, stdout);
  return got < 0 ? failed("read") : 0;
}

static int run_tcp_serve(int argc, char **argv) {
  int listener = open_server(SOCK_STREAM, argv[0]);
  if (listener < 0) return failed("listen");
  for (;;) {
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    int fd = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
    if (fd < 0 && errno != EINTR && errno != ECONNABORTED) return failed("accept");
    if (fd < 0) continue;
    if (argc > 1) dprintf(fd, "%s\n", argv[1]);
    else dprintf(fd, "%s\n", inet_ntoa(peer.sin_addr));
    close(fd);
  }
}

static int run_udp(int argc, char **argv) {
  (void)argc;
  union address address;
  socklen_t length;
  char answer[65536];
  if (parse(argv[0], argv[1], &address, &length) < 0) return failed(argv[0]);
  int fd = open_socket(address.any.sa_family, SOCK_DGRAM);
  if (fd < 0 || connect(fd, &address.any, length) < 0) return failed("connect");
  if (send(fd, argv[2], strlen(argv[2]), 0) < 0) return failed("send");
  ssize_t got = recv(fd, answer, sizeof answer - 1, 0);
  if (got < 0) return failed("recv");
  printf("%.*s\n", (int)got, answer);
  return 0;
}

static int run_udp_echo(int argc, char **argv) {
  (void)argc;
  int fd = open_server(SOCK_DGRAM, argv[0]);
  if (fd < 0) return failed("bind");
  for (;;) {
    char datagram[65536];
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    ssize_t got = recvfrom(fd, datagram, sizeof datagram, 0, (struct sockaddr *)&peer, &length);
    if (got < 0 && errno != EINTR && errno != ECONNREFUSED) return failed("recvfrom");
    if (got >= 0) sendto(fd, datagram, (size_t)got, 0, (struct sockaddr *)&peer, length);
  }
}

static int run_hold_port(int argc, char **argv) {
  (void)argc;
  if (open_server(SOCK_STREAM, argv[0]) < 0) return failed("listen");
  for (;;) pause();
}

static int run_resolve(int argc, char **argv) {
  (void)argc;
  char address[256];
  if (look_up(argv[0], address, sizeof address) < 0) return failed(argv[0]);
  puts(address);
  return 0;
}

static int run_interfaces(int argc, char **argv) {
  (void)argc, (void)argv;
  struct ifaddrs *all;
  if (getifaddrs(&all) < 0) return failed("getifaddrs");
  for (struct ifaddrs *at = all; at; at = at->ifa_next) {
    char text[INET6_ADDRSTRLEN] = "-", mask[INET_ADDRSTRLEN] = "-";
    int family = at->ifa_addr ? at->ifa_addr->sa_family : AF_UNSPEC;
    union address *address = (union address *)(void *)at->ifa_addr;
    union address *netmask = (union address *)(void *)at->ifa_netmask;
    if (family == AF_INET) {
      inet_ntop(AF_INET, &address->four.sin_addr, text, sizeof text);
      if (netmask) inet_ntop(AF_INET, &netmask->four.sin_addr, mask, sizeof mask);
    } else if (family == AF_INET6) {
      inet_ntop(AF_INET6, &address->six.sin6_addr, text, sizeof text);
    } else if (at->ifa_addr) {
      continue;
    }
    printf("%s %s %s %s\n", at->ifa_name, at->ifa_flags & IFF_UP ? "up" : "down", text, mask);
  }
  freeifaddrs(all);
  return 0;
}

static int run_socket_families(int argc, char **argv) {
  (void)argc, (void)argv;
  static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET};
  for (int family = 1; family < AF_MAX; family++) {
    const char *error = NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
      int fd = socket(family, types[i] | SOCK_CLOEXEC, 0);
      if (fd >= 0) {
        close(fd);
        error = NULL;
        break;
      }
      error = strerrorname_np(errno);
    }
    printf("%d %s\n", family, error ? error : "ok");
  }
  return 0;
}

struct verb {
  const char *name;
  int arguments_min;
  int (*run)(int argc, char **argv);
};

static const struct verb verbs[] = {
    {"tcp", 2, run_tcp},
    {"tcp-serve", 1, run_tcp_serve},
    {"udp", 3, run_udp},
    {"udp-echo", 1, run_udp_echo},
    {"hold-port", 1, run_hold_port},
    {"resolve", 1, run_resolve},
    {"interfaces", 0, run_interfaces},
    {"socket-families", 0, run_socket_families},
};

int main(int argc, char **argv) {
  for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
    if (strcmp(argv[1], verbs[i].name) == 0 && argc - 2 >= verbs[i].arguments_min)
      return verbs[i].run(argc - 2, argv + 2);
  fprintf(stderr, "usage: probe-net VERB [ARGUMENT...]; verbs:");
  for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) fprintf(stderr, " %s", verbs[i].name);
  fprintf(stderr, "\n");
  return 2;
}
