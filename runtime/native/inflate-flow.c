#include "inflate-flow.h"

#include "crc32.h"
#include "decode-flow.h"

enum decode_end inflate_read(struct inflate *inflate) {
  struct inflate_input *input = &inflate->input;
  uint8_t *begin = input->buffer + INFLATE_KEPT_BYTES;
  if (input->is_over) return DECODE_DONE;
  if (input->bits.at == NULL) input->bits.at = input->end = begin;
  size_t left = (size_t)(input->end - input->bits.at);
  memmove(begin - INFLATE_KEPT_BYTES, input->bits.at - INFLATE_KEPT_BYTES, INFLATE_KEPT_BYTES + left);
  size_t got;
  enum decode_end end = decode_read(input->fd, begin + left, INFLATE_INPUT_BYTES - left, &got, &inflate->error);
  if (end != DECODE_DONE) return end;
  input->bits.at = begin;
  input->end = begin + left + got;
  input->is_over = got == 0;
  inflate->bytes_in += got;
  return DECODE_DONE;
}

enum decode_end inflate_refill_slowly(struct inflate *inflate) {
  struct inflate_input *input = &inflate->input;
  if (input->pretended * 8 > input->bits.count) return DECODE_CUT;
  while (input->end - input->bits.at < 8 && !input->is_over) {
    enum decode_end end = inflate_read(inflate);
    if (end != DECODE_DONE) return end;
  }
  for (; input->bits.count <= 55; input->bits.count += 8) {
    if (input->bits.at < input->end) input->bits.held |= (uint64_t)*input->bits.at++ << input->bits.count;
    else input->pretended++;
  }
  return DECODE_DONE;
}

enum decode_end inflate_align(struct inflate *inflate) {
  struct inflate_input *input = &inflate->input;
  unsigned bytes = input->bits.count / 8;
  if (bytes < input->pretended) return DECODE_CUT;
  input->bits.at -= bytes - input->pretended;
  input->bits.held = 0;
  input->bits.count = input->pretended = 0;
  return DECODE_DONE;
}

int inflate_take_byte(struct inflate *inflate) {
  struct inflate_input *input = &inflate->input;
  while (input->bits.at == input->end && !input->is_over)
    if (inflate_read(inflate) != DECODE_DONE) return -2;
  return input->bits.at == input->end ? -1 : *input->bits.at++;
}

/* The window moves to the front once the rest is used up. */
enum decode_end inflate_flush(struct inflate *inflate) {
  struct inflate_output *output = &inflate->output;
  size_t length = output->at - output->unsent;
  inflate->bytes_out += length;
  inflate->member_bytes += length;
  enum decode_end end = decode_density(inflate->bytes_in, inflate->bytes_out, inflate->dense_from, inflate->ratio_max);
  if (end != DECODE_DONE) return end;
  output->sum = crc32_add(output->sum, output->buffer + output->unsent, length);
  end = decode_write(output->fd, output->buffer + output->unsent, length, &inflate->error);
  output->unsent = output->at;
  if (end != DECODE_DONE || output->at < INFLATE_OUTPUT_END) return end;
  size_t shift = output->at - INFLATE_WINDOW_BYTES;
  memmove(output->buffer, output->buffer + shift, INFLATE_WINDOW_BYTES);
  output->begin = output->begin > shift ? output->begin - shift : 0;
  output->at = output->unsent = INFLATE_WINDOW_BYTES;
  return DECODE_DONE;
}
