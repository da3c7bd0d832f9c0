#include "prefix-code.h"

#include <stdbool.h>

struct sizes {
  uint16_t counts[CODE_BITS_MAX + 1]; /* of symbols, by the length of their codes */
  unsigned longest;
};

static struct sizes count_lengths(const uint8_t *lengths, unsigned count) {
  struct sizes sizes = {.longest = 0};
  for (unsigned i = 0; i < count; i++) sizes.counts[lengths[i]]++;
  for (unsigned length = 1; length <= CODE_BITS_MAX; length++)
    if (sizes.counts[length] > 0) sizes.longest = length;
  return sizes;
}

/* No more codes than fit, and no fewer. */
static bool is_sound(const struct sizes *sizes) {
  int left = 1;
  for (unsigned length = 1; length <= CODE_BITS_MAX; length++) {
    left = left * 2 - sizes->counts[length];
    if (left < 0) return false;
  }
  return left == 0 || sizes->longest <= 1;
}

/* Codes stand in the stream with their first bit first. */
static unsigned reversed(unsigned code, unsigned length) {
  unsigned result = 0;
  for (; length > 0; length--, code >>= 1) result = result << 1 | (code & 1);
  return result;
}

/* How many bits a subtable needs whose first code has `length` bits: as many as fill it. */
static unsigned subtable_bits(const struct prefix_code *code, const struct sizes *left, unsigned length) {
  unsigned bits = length - code->bits;
  int room = 1 << bits;
  while (bits + code->bits < left->longest) {
    room -= left->counts[bits + code->bits];
    if (room <= 0) break;
    bits++;
    room *= 2;
  }
  return bits;
}

static void fill(uint32_t *entries, unsigned bits, unsigned at, unsigned length, uint32_t meaning) {
  for (unsigned i = at; i < 1u << bits; i += 1u << length) entries[i] = meaning | length;
}

/* Symbols in the order of their codes. */
static void sort(const uint8_t *lengths, unsigned count, const struct sizes *sizes, uint16_t sorted[CODE_SYMBOLS_MAX]) {
  uint16_t at[CODE_BITS_MAX + 2] = {0};
  for (unsigned length = 1; length <= CODE_BITS_MAX; length++) at[length + 1] = (uint16_t)(at[length] + sizes->counts[length]);
  for (unsigned symbol = 0; symbol < count; symbol++)
    if (lengths[symbol] > 0) sorted[at[lengths[symbol]]++] = (uint16_t)symbol;
}

int prefix_code_build(const struct prefix_code *code, const uint8_t *lengths, unsigned count, const uint32_t *meanings) {
  uint16_t sorted[CODE_SYMBOLS_MAX];
  struct sizes left = count_lengths(lengths, count);
  unsigned used = count - left.counts[0], next = 0, length = 1, prefix = ~0u, bits = 0;
  size_t begin = 0, end = (size_t)1 << code->bits;
  if (!is_sound(&left)) return -1;
  sort(lengths, count, &left, sorted);
  for (size_t i = 0; i < end; i++) code->entries[i] = CODE_BAD | 1;
  for (unsigned i = 0; i < used; i++, next++) {
    unsigned symbol = sorted[i];
    for (; length < lengths[symbol]; length++) next <<= 1;
    unsigned at = reversed(next, length);
    if (length <= code->bits) {
      fill(code->entries, code->bits, at, length, meanings[symbol]);
      left.counts[length]--;
      continue;
    }
    if ((at & ((1u << code->bits) - 1)) != prefix) {
      prefix = at & ((1u << code->bits) - 1);
      bits = subtable_bits(code, &left, length);
      begin = end;
      end += (size_t)1 << bits;
      if (end > code->capacity) return -1;
      for (size_t entry = begin; entry < end; entry++) code->entries[entry] = CODE_BAD | 1;
      code->entries[prefix] = CODE_SUBTABLE | code->bits | bits << CODE_EXTRA_AT | (uint32_t)begin << CODE_VALUE_AT;
    }
    fill(code->entries + begin, bits, at >> code->bits, length - code->bits, meanings[symbol]);
    left.counts[length]--;
  }
  return 0;
}
