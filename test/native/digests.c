/* SHA-256 of random pieces of random lengths, the portable blocks beside the processor's own, and FIPS 180-4's examples.
 * digests SEED COUNT */
#include "../../runtime/native/sha256.c"

#include "check.h"

static void check_example(const char *text, const char *expected) {
  struct sha256 hash;
  uint8_t digest[SHA256_BYTES];
  char hex[2 * SHA256_BYTES + 1];
  sha256_begin(&hash);
  sha256_add(&hash, text, strlen(text));
  sha256_end(&hash, digest);
  for (size_t i = 0; i < SHA256_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  CHECK(strcmp(hex, expected) == 0, "an example of the standard");
}

static void check_blocks(void) {
  uint8_t blocks[BLOCK_BYTES * 5];
  uint32_t one[8], other[8];
  for (size_t i = 0; i < sizeof blocks; i++) blocks[i] = (uint8_t)next_random();
  for (size_t i = 0; i < 8; i++) one[i] = other[i] = (uint32_t)next_random();
  blocks_portable(one, blocks, 5);
  if (has_instructions()) blocks_native(other, blocks, 5);
  else blocks_portable(other, blocks, 5);
  CHECK(memcmp(one, other, sizeof one) == 0, "the processor's own instructions and the portable rounds agree");
}

static void check_pieces(void) {
  static uint8_t bytes[1000];
  struct sha256 whole, pieces;
  uint8_t one[SHA256_BYTES], other[SHA256_BYTES];
  size_t length = random_below(sizeof bytes);
  for (size_t i = 0; i < length; i++) bytes[i] = (uint8_t)next_random();
  sha256_begin(&whole);
  sha256_add(&whole, bytes, length);
  sha256_end(&whole, one);
  sha256_begin(&pieces);
  for (size_t done = 0, part; done < length; done += part) {
    part = 1 + random_below(200);
    if (part > length - done) part = length - done;
    sha256_add(&pieces, bytes + done, part);
  }
  sha256_end(&pieces, other);
  CHECK(memcmp(one, other, sizeof one) == 0, "pieces give the digest of the whole");
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  seed_random(argv[1]);
  check_example("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  check_example("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  check_example("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  for (int i = 0, count = atoi(argv[2]); i < count; i++) {
    check_blocks();
    check_pieces();
  }
  return report_checks("digests");
}
