/* The least a C test needs: named checks that say where they failed, and seeded numbers. */
#ifndef BERTH_TEST_CHECK_H
#define BERTH_TEST_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int checks_failed;
static int checks_passed;

#define CHECK(condition, name)                                                       \
  do {                                                                               \
    if (condition) {                                                                 \
      checks_passed++;                                                               \
    } else {                                                                         \
      checks_failed++;                                                               \
      printf("FAILED %s:%d: %s (%s)\n", __FILE__, __LINE__, name, #condition);       \
    }                                                                                \
  } while (0)

static inline int report_checks(const char *what) {
  printf("%s: %d checks passed, %d failed\n", what, checks_passed, checks_failed);
  return checks_failed == 0 ? 0 : 1;
}

/* xorshift64*: the same numbers for the same seed, everywhere. */
static uint64_t random_state = 88172645463325252ull;

static inline void seed_random(const char *seed) {
  random_state = strtoull(seed, NULL, 10) * 2654435761u + 88172645463325252ull;
}

static inline uint64_t next_random(void) {
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return random_state * 2685821657736338717ull;
}

static inline uint32_t random_below(uint32_t bound) { return bound == 0 ? 0 : (uint32_t)(next_random() % bound); }

#endif
