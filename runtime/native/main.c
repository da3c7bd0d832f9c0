/*
 * berth-helper: the system calls that berth's TypeScript cannot make. One binary, and who it is at each stage:
 *
 *   launcher    host root with all capabilities, started once by the agent; sealed, not dumpable, no environment.
 *   supervisor  forked by the launcher for each container; host root, own session, outlives launcher and agent.
 *   init        cloned by the supervisor into the container's namespaces; root of its user namespace once the map
 *               is written, not dumpable; becomes the payload by exec with the ids and capabilities of its program.
 *   reaper      what the init leaves as PID 1 where REAP asks for it: no descriptors, CAP_KILL of its namespace.
 *   unpacker    forked by the launcher for one layer; gives up every privilege that unpacking does not need.
 *   copier      in a container: cloned by the supervisor into its namespaces, as its root with capabilities over files
 *               only. On the host: started by the command line, with its user's rights over files.
 *
 * Policy is none of its business: it carries out lists of operations (program.h) in the order given.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "copy-report.h"
#include "launcher.h"
#include "seal.h"
#include "wire.h"

static int say(int fd, const char *text) {
  return wire_write_all(fd, text, strlen(text)) < 0;
}

int main(int argc, char **argv) {
  char text[160];
  if (argc == 2 && strcmp(argv[1], "version") == 0) return say(1, BERTH_HELPER_VERSION "\n");
  if (argc > 2 && (strcmp(argv[1], "copy-out") == 0 || strcmp(argv[1], "copy-in") == 0)) return copy_main(argc, argv);
  if (argc != 2 || strcmp(argv[1], "launcher") != 0) {
    say(2, "usage: berth-helper launcher|copy-out|copy-in|version\n");
    return 2;
  }
  int error = seal_self(argv[1]);
  if (error < 0) {
    snprintf(text, sizeof text, "berth-helper: cannot seal itself in memory because: %s\n", strerror(-error));
    say(2, text);
    return 1;
  }
  return launcher_run();
}
