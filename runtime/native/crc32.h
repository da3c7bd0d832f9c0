/* The checksum of gzip (RFC 1952, section 8), with carry-less multiplication where the processor has it. */
#ifndef BERTH_CRC32_H
#define BERTH_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from the checksum of what came before; that of nothing is 0. */
uint32_t crc32_add(uint32_t sum, const uint8_t *bytes, size_t length);

#endif
