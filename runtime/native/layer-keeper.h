/* The process that hashes what is sent, writes it to a file and passes it on. */
#ifndef BERTH_LAYER_KEEPER_H
#define BERTH_LAYER_KEEPER_H

#include "layer-stream.h"

struct keeper_report {
  int error; /* a positive errno, of the file or of the sender; 0: all came, and the file is on the disk */
  struct layer_origin origin;
};

/* Copies `from` to `to` until its end; the file, unless it is -1, is written around the page cache where the file system
 * can do so: nobody reads it soon. An end of who reads `to` is an error of its own, EPIPE. */
void layer_keep(int from, int file, int to, struct keeper_report *report);

#endif
