/* export-rules: makes a filter with libseccomp from lines on standard input and writes it to standard output.
 *   default RESULT
 *   rule RESULT NAME [INDEX OP VALUE VALUE_TWO]...
 * Names that this libseccomp does not know go to standard error. RESULT is an action's number, OP one of enum scmp_compare. */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  static char line[4096];
  scmp_filter_ctx context = NULL;
  while (fgets(line, sizeof line, stdin) != NULL) {
    char *word = strtok(line, " \n");
    uint32_t action = (uint32_t)strtoul(strtok(NULL, " \n"), NULL, 0);
    if (strcmp(word, "default") == 0) {
      context = seccomp_init(action);
      continue;
    }
    char *name = strtok(NULL, " \n");
    int number = seccomp_syscall_resolve_name(name);
    if (number < 0) fprintf(stderr, "%s\n", name);
    struct scmp_arg_cmp compare[6];
    unsigned int count = 0;
    for (char *index; (index = strtok(NULL, " \n")) != NULL && count < 6; count++) {
      compare[count].arg = (unsigned int)strtoul(index, NULL, 0);
      compare[count].op = (enum scmp_compare)strtoul(strtok(NULL, " \n"), NULL, 0);
      compare[count].datum_a = strtoull(strtok(NULL, " \n"), NULL, 0);
      compare[count].datum_b = strtoull(strtok(NULL, " \n"), NULL, 0);
    }
    if (number >= 0 &&
        seccomp_rule_add_array(context, action, number, count, compare) != 0)
      return 2;
  }
  return context == NULL || seccomp_export_bpf(context, 1) != 0;
}
