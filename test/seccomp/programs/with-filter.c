/* with-filter COMMAND...: reads a struct sock_filter[] from standard input, installs it and executes the command. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
  static struct sock_filter filter[BPF_MAXINSNS];
  size_t count = fread(filter, sizeof filter[0], BPF_MAXINSNS, stdin);
  struct sock_fprog program = {.len = (unsigned short)count, .filter = filter};
  if (argc < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 120;
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
    perror("seccomp");
    return 121;
  }
  execvp(argv[1], argv + 1);
  perror("execvp");
  return 122;
}
