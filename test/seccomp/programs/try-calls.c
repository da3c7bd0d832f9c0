/* try-calls [NUMBER ARG0 ARG1 ARG2]...: makes each call and prints the errno it fails with, 0 where it succeeds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
  for (int at = 1; at + 3 < argc; at += 4) {
    errno = 0;
    long result = syscall(strtol(argv[at], NULL, 0), strtoul(argv[at + 1], NULL, 0),
                          strtoul(argv[at + 2], NULL, 0), strtoul(argv[at + 3], NULL, 0));
    printf("%d\n", result == -1 ? errno : 0);
  }
  return 0;
}
