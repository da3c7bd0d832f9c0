#include "inflate.h"

#include "inflate-flow.h"
#include "prefix-code.h"

#define END_OF_BLOCK 256
#define LITERALS_MAX 286
#define DISTANCES_MAX 30
#define LENGTH_CODES 19
#define MEANING(value, extra) ((uint32_t)(value) << CODE_VALUE_AT | (uint32_t)(extra) << CODE_EXTRA_AT)

/* Room for the worst code of 288 symbols after a first look of 11 bits, and of 32 after one of 8. */
static uint32_t literal_entries[2400], distance_entries[420], length_entries[128];
static const struct prefix_code literal_code = {literal_entries, sizeof literal_entries / sizeof *literal_entries, 11};
static const struct prefix_code distance_code = {distance_entries, sizeof distance_entries / sizeof *distance_entries, 8};
static const struct prefix_code length_code = {length_entries, sizeof length_entries / sizeof *length_entries, 7};
static uint32_t literal_meanings[CODE_SYMBOLS_MAX], distance_meanings[32], length_meanings[LENGTH_CODES];

/* RFC 1951, section 3.2.5. */
static void make_meanings(void) {
  unsigned length = 3, distance = 1;
  for (unsigned i = 0; i < END_OF_BLOCK; i++) literal_meanings[i] = CODE_LITERAL | MEANING(i, 0);
  literal_meanings[END_OF_BLOCK] = CODE_END;
  for (unsigned i = 0; i < 28; i++) {
    unsigned extra = i < 8 ? 0 : i / 4 - 1;
    literal_meanings[257 + i] = MEANING(length, extra);
    length += 1u << extra;
  }
  literal_meanings[285] = MEANING(258, 0);
  literal_meanings[286] = literal_meanings[287] = CODE_BAD;
  for (unsigned i = 0; i < DISTANCES_MAX; i++) {
    unsigned extra = i < 4 ? 0 : i / 2 - 1;
    distance_meanings[i] = MEANING(distance, extra);
    distance += 1u << extra;
  }
  distance_meanings[30] = distance_meanings[31] = CODE_BAD;
  for (unsigned i = 0; i < LENGTH_CODES; i++) length_meanings[i] = MEANING(i, 0);
}

static inline uint32_t look(const struct prefix_code *code, struct inflate_bits *bits) {
  uint32_t entry = code->entries[bits->held & ((1u << code->bits) - 1)];
  if (__builtin_expect(entry & CODE_SUBTABLE, 0)) {
    inflate_take(bits, entry & CODE_DROP);
    uint32_t within = (uint32_t)bits->held & ((1u << (entry >> CODE_EXTRA_AT & 0xf)) - 1);
    entry = code->entries[(entry >> CODE_VALUE_AT) + within];
  }
  inflate_take(bits, entry & CODE_DROP);
  return entry;
}

/* Writes whole words, past the end too. */
static uint8_t *copy_match(uint8_t *out, size_t distance, size_t length) {
  const uint8_t *from = out - distance;
  uint8_t *end = out + length;
  if (distance >= 16) {
    do {
      memcpy(out, from, 16);
      out += 16, from += 16;
    } while (out < end);
  } else if (distance >= 8) {
    do {
      memcpy(out, from, 8);
      out += 8, from += 8;
    } while (out < end);
  } else if (distance == 1) {
    memset(out, *from, length);
  } else {
    while (out < end) *out++ = *from++;
  }
  return end;
}

/* A literal takes at most 15 bits: three of them, or two and a length with its extra bits, come from one refill. */
static enum decode_end decode(struct inflate *inflate) {
  struct inflate_bits bits = inflate->input.bits;
  struct inflate_output *output = &inflate->output;
  uint8_t *out = output->buffer + output->at, *const full = output->buffer + INFLATE_OUTPUT_END;
  enum decode_end end;
  uint32_t entry;
  for (;;) {
    if (__builtin_expect(out >= full, 0)) {
      output->at = (size_t)(out - output->buffer);
      if ((end = inflate_flush(inflate)) != DECODE_DONE) return end;
      out = output->buffer + output->at;
    }
    if ((end = inflate_refill(inflate, &bits)) != DECODE_DONE) break;
    for (int literals = 0; (entry = look(&literal_code, &bits)) & CODE_LITERAL; literals++) {
      *out++ = (uint8_t)(entry >> CODE_VALUE_AT);
      if (literals == 2) break;
    }
    if (entry & CODE_LITERAL) continue;
    if (entry & (CODE_END | CODE_BAD)) {
      end = entry & CODE_END ? DECODE_DONE : DECODE_DAMAGED;
      break;
    }
    size_t length = (entry >> CODE_VALUE_AT) + inflate_take(&bits, entry >> CODE_EXTRA_AT & 0xf);
    if ((end = inflate_refill(inflate, &bits)) != DECODE_DONE) break;
    entry = look(&distance_code, &bits);
    size_t distance = (entry >> CODE_VALUE_AT) + inflate_take(&bits, entry >> CODE_EXTRA_AT & 0xf);
    if (entry & CODE_BAD || distance > (size_t)(out - output->buffer) - output->begin) {
      end = DECODE_DAMAGED;
      break;
    }
    out = copy_match(out, distance, length);
  }
  inflate->input.bits = bits;
  output->at = (size_t)(out - output->buffer);
  return end;
}

/* Section 3.2.7: how long the codes are is coded itself. */
static enum decode_end read_lengths(struct inflate *inflate, uint8_t *lengths, unsigned count) {
  struct inflate_input *input = &inflate->input;
  for (unsigned at = 0; at < count;) {
    enum decode_end end = inflate_refill(inflate, &inflate->input.bits);
    if (end != DECODE_DONE) return end;
    uint32_t entry = look(&length_code, &input->bits);
    unsigned symbol = entry >> CODE_VALUE_AT, repeat = 1;
    if (entry & CODE_BAD || (symbol == 16 && at == 0)) return DECODE_DAMAGED;
    if (symbol == 16) repeat = 3 + inflate_take(&input->bits, 2);
    if (symbol == 17) repeat = 3 + inflate_take(&input->bits, 3);
    if (symbol == 18) repeat = 11 + inflate_take(&input->bits, 7);
    if (at + repeat > count) return DECODE_DAMAGED;
    uint8_t value = symbol < 16 ? (uint8_t)symbol : symbol == 16 ? lengths[at - 1] : 0;
    for (; repeat > 0; repeat--) lengths[at++] = value;
  }
  return DECODE_DONE;
}

static enum decode_end read_codes(struct inflate *inflate) {
  static const uint8_t order[LENGTH_CODES] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  struct inflate_input *input = &inflate->input;
  uint8_t lengths[LITERALS_MAX + DISTANCES_MAX + 8] = {0}, own[LENGTH_CODES] = {0};
  unsigned literals = 257 + inflate_take(&input->bits, 5), distances = 1 + inflate_take(&input->bits, 5);
  unsigned codes = 4 + inflate_take(&input->bits, 4);
  if (literals > LITERALS_MAX || distances > DISTANCES_MAX) return DECODE_DAMAGED;
  for (unsigned i = 0; i < codes; i++) {
    enum decode_end end = inflate_refill(inflate, &inflate->input.bits);
    if (end != DECODE_DONE) return end;
    own[order[i]] = (uint8_t)inflate_take(&input->bits, 3);
  }
  if (prefix_code_build(&length_code, own, LENGTH_CODES, length_meanings) < 0) return DECODE_DAMAGED;
  enum decode_end end = read_lengths(inflate, lengths, literals + distances);
  if (end != DECODE_DONE) return end;
  bool fits = lengths[END_OF_BLOCK] > 0 && prefix_code_build(&literal_code, lengths, literals, literal_meanings) == 0 &&
              prefix_code_build(&distance_code, lengths + literals, distances, distance_meanings) == 0;
  return fits ? DECODE_DONE : DECODE_DAMAGED;
}

static void fix_codes(void) {
  uint8_t lengths[CODE_SYMBOLS_MAX];
  for (unsigned i = 0; i < CODE_SYMBOLS_MAX; i++) lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  prefix_code_build(&literal_code, lengths, CODE_SYMBOLS_MAX, literal_meanings);
  memset(lengths, 5, 32);
  prefix_code_build(&distance_code, lengths, 32, distance_meanings);
}

static enum decode_end copy_stored(struct inflate *inflate) {
  struct inflate_input *input = &inflate->input;
  struct inflate_output *output = &inflate->output;
  enum decode_end end = inflate_align(inflate);
  int bytes[4] = {0};
  for (int i = 0; i < 4 && end == DECODE_DONE; i++)
    if ((bytes[i] = inflate_take_byte(inflate)) < 0) end = bytes[i] == -1 ? DECODE_CUT : DECODE_CANNOT_READ;
  if (end != DECODE_DONE) return end;
  size_t left = (size_t)(bytes[0] | bytes[1] << 8);
  if (left != (~(size_t)(bytes[2] | bytes[3] << 8) & 0xffff)) return DECODE_DAMAGED;
  while (left > 0 && end == DECODE_DONE) {
    if (output->at >= INFLATE_OUTPUT_END && (end = inflate_flush(inflate)) != DECODE_DONE) return end;
    if (input->bits.at == input->end && input->is_over) return DECODE_CUT;
    if (input->bits.at == input->end && (end = inflate_read(inflate)) != DECODE_DONE) return end;
    size_t there = (size_t)(input->end - input->bits.at), room = INFLATE_OUTPUT_END - output->at;
    size_t part = left < there ? left : there;
    if (part > room) part = room;
    memcpy(output->buffer + output->at, input->bits.at, part);
    input->bits.at += part;
    output->at += part;
    left -= part;
  }
  return end;
}

enum decode_end inflate_blocks(struct inflate *inflate) {
  if (literal_meanings[END_OF_BLOCK] == 0) make_meanings();
  for (bool is_last = false; !is_last;) {
    enum decode_end end = inflate_refill(inflate, &inflate->input.bits);
    if (end != DECODE_DONE) return end;
    is_last = inflate_take(&inflate->input.bits, 1) == 1;
    uint32_t kind = inflate_take(&inflate->input.bits, 2);
    if (kind == 0) end = copy_stored(inflate);
    else if (kind == 1) fix_codes();
    else end = kind == 2 ? read_codes(inflate) : DECODE_DAMAGED;
    if (end == DECODE_DONE && kind != 0) end = decode(inflate);
    if (end != DECODE_DONE) return end;
  }
  return DECODE_DONE;
}
