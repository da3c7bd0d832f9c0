#include "crc32.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#define POLYNOMIAL 0xedb88320u
#define SLICES 8

static uint32_t tables[SLICES][256];

static void make_tables(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? POLYNOMIAL : 0);
    tables[0][byte] = value;
  }
  for (uint32_t byte = 0; byte < 256; byte++)
    for (int slice = 1; slice < SLICES; slice++)
      tables[slice][byte] = tables[slice - 1][byte] >> 8 ^ tables[0][tables[slice - 1][byte] & 255];
}

/* Eight bytes a step; both kinds of processor that berth runs on are little endian. */
static uint32_t add_portable(uint32_t state, const uint8_t *bytes, size_t length) {
  for (; length >= 8; length -= 8, bytes += 8) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    word ^= state;
    state = 0;
    for (int i = 0; i < 8; i++) state ^= tables[7 - i][word >> 8 * i & 255];
  }
  for (; length > 0; length--) state = state >> 8 ^ tables[0][(state ^ *bytes++) & 255];
  return state;
}

#if defined(__x86_64__)
static bool has_instructions(void) {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_PCLMUL) && (c & bit_SSE2 || d & bit_SSE2);
}

__attribute__((target("pclmul"))) static __m128i fold(__m128i value, __m128i by, __m128i next) {
  __m128i low = _mm_clmulepi64_si128(value, by, 0x00), high = _mm_clmulepi64_si128(value, by, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* Folds all of it, at least 64 bytes and a multiple of 16, into 16 bytes of the same remainder: V. Gopal et al., "Fast CRC
 * Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009, whose constants for this polynomial
 * these are. */
__attribute__((target("pclmul"))) static uint32_t add_native(uint32_t state, const uint8_t *bytes, size_t length) {
  const __m128i by_four = _mm_set_epi64x(0x1c6e41596, 0x154442bd4), by_one = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
  const __m128i *from = (const __m128i *)bytes;
  __m128i lanes[4];
  for (int i = 0; i < 4; i++) lanes[i] = _mm_loadu_si128(from++);
  lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128((int)state));
  for (length -= 64; length >= 64; length -= 64)
    for (int i = 0; i < 4; i++) lanes[i] = fold(lanes[i], by_four, _mm_loadu_si128(from++));
  for (int i = 1; i < 4; i++) lanes[0] = fold(lanes[0], by_one, lanes[i]);
  for (; length >= 16; length -= 16) lanes[0] = fold(lanes[0], by_one, _mm_loadu_si128(from++));
  uint8_t folded[16];
  _mm_storeu_si128((__m128i *)folded, lanes[0]);
  return add_portable(0, folded, sizeof folded);
}
#else
static bool has_instructions(void) { return false; }

static uint32_t add_native(uint32_t state, const uint8_t *bytes, size_t length) {
  return add_portable(state, bytes, length);
}
#endif

uint32_t crc32_add(uint32_t sum, const uint8_t *bytes, size_t length) {
  static bool ready, native;
  if (!ready) {
    make_tables();
    native = has_instructions();
    ready = true;
  }
  uint32_t state = ~sum;
  size_t whole = native && length >= 64 ? length & ~(size_t)15 : 0;
  if (whole > 0) state = add_native(state, bytes, whole);
  return ~add_portable(state, bytes + whole, length - whole);
}
