/* gzip (RFC 1952): all members of a stream. */
#ifndef BERTH_GUNZIP_H
#define BERTH_GUNZIP_H

#include "inflate.h"

/* Decodes what `inflate->input.fd` gives into `inflate->output.fd`, to the end of the input. All of `inflate` is zero but the
 * descriptors and limits. Every member's checksum and length are checked; behind the last one only zeros are taken. What
 * was written before a failure stays written. */
enum decode_end gunzip(struct inflate *inflate);

#endif
