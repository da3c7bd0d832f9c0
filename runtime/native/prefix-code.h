/* Tables that decode the canonical prefix codes of DEFLATE (RFC 1951, section 3.2.2), several bits a look. */
#ifndef BERTH_PREFIX_CODE_H
#define BERTH_PREFIX_CODE_H

#include <stddef.h>
#include <stdint.h>

#define CODE_BITS_MAX 15
#define CODE_SYMBOLS_MAX 288

/* An entry: bits to drop (0 to 3), kind, count of extra bits (8 to 12), and from bit 16 on what it stands for: a literal, the
 * least length or distance, or where its subtable begins. */
#define CODE_DROP 0xfu
#define CODE_SUBTABLE 0x10u /* the extra bits choose the entry in it */
#define CODE_END 0x20u      /* of the block */
#define CODE_BAD 0x40u      /* no code, or one of a symbol that must not occur */
#define CODE_LITERAL 0x80u
#define CODE_EXTRA_AT 8
#define CODE_VALUE_AT 16

struct prefix_code {
  uint32_t *entries;
  size_t capacity;
  unsigned bits; /* of the first look */
};

/* Fills the table for symbols whose codes have these lengths (0: not used); `meanings` are the entries without their bits to
 * drop. A code that is not complete is taken only where it has no more than one symbol, of one bit. 0, or -1. */
int prefix_code_build(const struct prefix_code *code, const uint8_t *lengths, unsigned count, const uint32_t *meanings);

#endif
