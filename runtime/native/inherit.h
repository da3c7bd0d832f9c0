/* Descriptors that the launcher was started with for the container: BERTH_START_INHERIT. */
#ifndef BERTH_INHERIT_H
#define BERTH_INHERIT_H

#include <stddef.h>

struct program;

/* From 3 on, the descriptors that do not close on exec: the launcher's own all do. */
size_t inherit_count(void);

/*
 * In the supervisor, before it opens anything: the first three inherited descriptors become the program's stdio, the
 * others move to 3 and up, where the payload finds them, and every other descriptor but `report_fd` is closed.
 * Returns the report's new descriptor, or -errno.
 */
int inherit_take(struct program *program, size_t count, int report_fd);

/* In the supervisor, once the init has its copies. */
void inherit_drop(const struct program *program);

#endif
