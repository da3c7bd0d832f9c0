/* Keys of the kernel (keyrings(7)), as a contained process reaches them.
 *
 *     probe-keys with NAME PROGRAM...   begins a session keyring with a key of this name, and becomes the program
 *     probe-keys hold NAME              adds such a key to the session's keyring, prints `key SERIAL`, and stays
 *     probe-keys look NAME [SERIAL]     prints what it can do with a key of this name in its session, and with that one
 *
 * Each line of `look` is `what ok` or `what ERRNO`.
 */
#include <errno.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long keyctl(long command, long first, long second, long third, long fourth) {
  return syscall(SYS_keyctl, command, first, second, third, fourth);
}

static long add_key(const char *name) {
  return syscall(SYS_add_key, "user", name, "secret", 6, KEY_SPEC_SESSION_KEYRING);
}

static void tell(const char *what, long result) {
  printf("%s %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
}

static long read_key(long serial) {
  char content[64];
  return keyctl(KEYCTL_READ, serial, (long)content, sizeof content, 0);
}

static int look(const char *name, const char *other) {
  tell("search", keyctl(KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, (long)"user", (long)name, 0));
  tell("request", syscall(SYS_request_key, "user", name, NULL, 0));
  if (other != NULL) {
    long serial = strtol(other, NULL, 10);
    tell("read", read_key(serial));
    tell("link", keyctl(KEYCTL_LINK, serial, KEY_SPEC_SESSION_KEYRING, 0, 0));
    tell("revoke", keyctl(KEYCTL_REVOKE, serial, 0, 0, 0));
  }
  /* The keyring is there and works: what is refused above is not refused for want of one. */
  tell("own", add_key("own") < 0 ? -1 : keyctl(KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, (long)"user", (long)"own", 0));
  return 0;
}

int main(int argc, char **argv) {
  if (argc > 3 && strcmp(argv[1], "with") == 0) {
    if (keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) < 0 || add_key(argv[2]) < 0) {
      perror("probe-keys");
      return 1;
    }
    execv(argv[3], argv + 3);
    perror(argv[3]);
    return 1;
  }
  if (argc == 3 && strcmp(argv[1], "hold") == 0) {
    long serial = add_key(argv[2]);
    if (serial < 0) {
      perror("probe-keys");
      return 1;
    }
    printf("key %ld\n", serial);
    fflush(stdout);
    for (;;) pause();
  }
  if ((argc == 3 || argc == 4) && strcmp(argv[1], "look") == 0) return look(argv[2], argc == 4 ? argv[3] : NULL);
  fprintf(stderr, "usage: probe-keys with NAME PROGRAM... | hold NAME | look NAME [SERIAL]\n");
  return 2;
}
