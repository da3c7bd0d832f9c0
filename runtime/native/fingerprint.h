/* What files are like, in few bytes: who asks again sees whether any of them changed. */
#ifndef BERTH_FINGERPRINT_H
#define BERTH_FINGERPRINT_H

#include <stddef.h>

#include "wire.h"

#define FINGERPRINT_BYTES 16

/* The groups of a BERTH_MSG_FINGERPRINT; 0 when they are malformed or none. */
size_t fingerprint_groups(const void *body, size_t length);
/* Puts FINGERPRINT_BYTES for each group. A file that cannot be read counts with its errno: that is no failure. */
void fingerprint_take(const void *body, size_t length, struct wire_writer *prints);

#endif
