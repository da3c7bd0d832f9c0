/* A file by its directory's descriptor and its name there. */
#ifndef BERTH_PLACE_H
#define BERTH_PLACE_H

#include <stdint.h>
#include <sys/types.h>

struct place {
  int directory;
  char *name;
};

#define NO_PLACE ((struct place){.directory = -1})

/* Opens the directory of an absolute path. 0 or -errno. */
int place_open(struct place *place, const char *path);
void place_close(struct place *place);

/* Field 22 of /proc/PID/stat: clock ticks since boot; 0 when there is no such process. */
uint64_t process_start_time(pid_t pid);

#endif
