/* How a process that copies says what went wrong: one line of text, without control characters. */
#ifndef BERTH_COPY_REPORT_H
#define BERTH_COPY_REPORT_H

#include "wire.h"

/* Writes "cannot copy OBJECT because DETAIL (ERROR)" to the descriptor. */
void copy_report(int fd, const struct failure *failure);

/* The life of `berth-helper copy-out|copy-in …`: the host's side of a copy, with the rights of whoever runs it, less
 * every capability but those that are about files. Returns the exit code. */
int copy_main(int argc, char **argv);

#endif
