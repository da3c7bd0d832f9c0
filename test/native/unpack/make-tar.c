/* Writes archives that no honest program would, to stdout. Words in order:
 *
 *     entry [key=value...]      a header (and its content); keys: name prefix link type mode uid gid size mtime
 *                               major minor magic (ustar, gnu, v7) data pad (0: none) sum (a wrong checksum)
 *     pax [RECORD...]           an extended header of records "key=value", lengths added; global: for all
 *     pax-raw TEXT, global [RECORD...], long NAME, long-link NAME
 *     zeros N, raw TEXT, end    blocks of zeros, bytes, the two blocks that end an archive
 *
 * In values \0, \n and \xHH mean bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
  char data[1 << 21];
  size_t length;
};

static struct bytes value;
static char header[512];

static void unescape(const char *text) {
  for (value.length = 0; *text && value.length < sizeof value.data - 1; text++) {
    char c = *text;
    if (c == '\\' && text[1] == '0') c = 0, text++;
    else if (c == '\\' && text[1] == 'n') c = '\n', text++;
    else if (c == '\\' && text[1] == 'x') {
      char digits[3] = {text[2], text[3], 0};
      c = (char)strtoul(digits, NULL, 16);
      text += 3;
    }
    value.data[value.length++] = c;
  }
  value.data[value.length] = 0;
}

static void put_padding(size_t length) {
  static const char zeros[512];
  fwrite(zeros, 1, (512 - length % 512) % 512, stdout);
}

static void put_header(const char *wrong_sum) {
  unsigned int sum = 0;
  memset(header + 148, ' ', 8);
  for (size_t i = 0; i < 512; i++) sum += (unsigned char)header[i];
  if (wrong_sum) sum++;
  snprintf(header + 148, 8, "%06o", sum);
  fwrite(header, 1, 512, stdout);
}

/* A number as octal digits; text that is none goes in as it is. */
static void set_number(size_t at, size_t length, const char *text) {
  char *end;
  unsigned long long number = strtoull(text, &end, 10);
  char digits[32];
  if (*end == 0 && *text) snprintf(digits, sizeof digits, "%0*llo", (int)length - 1, number);
  unescape(*end == 0 && *text ? digits : text);
  memcpy(header + at, value.data, value.length < length ? value.length : length);
}

static void set_text(size_t at, size_t length, const char *text) {
  unescape(text);
  memset(header + at, 0, length);
  memcpy(header + at, value.data, value.length < length ? value.length : length);
}

static void begin(char type) {
  memset(header, 0, sizeof header);
  header[156] = type;
  memcpy(header + 257, "ustar\00000", 8);
  set_number(100, 8, "420");
  set_number(108, 8, "0");
  set_number(116, 8, "0");
  set_number(124, 12, "0");
  set_number(136, 12, "1000000000");
}

static void set_magic(const char *name) {
  if (strcmp(name, "gnu") == 0) memcpy(header + 257, "ustar  ", 8);
  if (strcmp(name, "v7") == 0) memset(header + 257, 0, 8);
}

static int put_entry(int argc, char **argv) {
  static const struct { const char *key; size_t at, length; int text; } fields[] = {
      {"name", 0, 100, 1},  {"prefix", 345, 155, 1}, {"link", 157, 100, 1}, {"mode", 100, 8, 0},
      {"uid", 108, 8, 0},   {"gid", 116, 8, 0},      {"size", 124, 12, 0},  {"mtime", 136, 12, 0},
      {"major", 329, 8, 0}, {"minor", 337, 8, 0}};
  const char *wrong_sum = NULL, *data = NULL;
  int used = 0, pad = 1, has_size = 0;
  begin('0');
  for (; used < argc; used++) {
    char *equals = strchr(argv[used], '=');
    if (!equals) break;
    size_t length = (size_t)(equals - argv[used]);
    const char *text = equals + 1;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
      if (strlen(fields[i].key) == length && strncmp(argv[used], fields[i].key, length) == 0)
        (fields[i].text ? set_text : set_number)(fields[i].at, fields[i].length, text);
    if (strncmp(argv[used], "type=", 5) == 0) unescape(text), header[156] = value.data[0];
    if (strncmp(argv[used], "magic=", 6) == 0) set_magic(text);
    if (strncmp(argv[used], "data=", 5) == 0) data = text;
    if (strncmp(argv[used], "pad=", 4) == 0) pad = atoi(text);
    if (strncmp(argv[used], "sum=", 4) == 0) wrong_sum = text;
    if (strncmp(argv[used], "size=", 5) == 0) has_size = 1;
  }
  char size[32];
  unescape(data ? data : "");
  size_t length = value.length;
  snprintf(size, sizeof size, "%zu", length);
  if (!has_size) set_number(124, 12, size);
  put_header(wrong_sum);
  unescape(data ? data : "");
  fwrite(value.data, 1, length, stdout);
  if (pad) put_padding(length);
  return used;
}

static void put_body(char type, const char *name, const char *body, size_t length) {
  char size[32];
  begin(type);
  set_text(0, 100, name);
  snprintf(size, sizeof size, "%zu", length);
  set_number(124, 12, size);
  put_header(NULL);
  fwrite(body, 1, length, stdout);
  put_padding(length);
}

static int put_pax(char type, int argc, char **argv) {
  static struct bytes body;
  int used = 0;
  body.length = 0;
  for (; used < argc && strchr(argv[used], '=') != NULL; used++) {
    unescape(argv[used]);
    size_t length = value.length + 3, digits = 0;
    for (size_t before = 0; before != digits || digits == 0;) {
      char text[32];
      before = digits;
      digits = (size_t)snprintf(text, sizeof text, "%zu", value.length + 2 + digits);
      length = value.length + 2 + digits;
    }
    body.length += (size_t)snprintf(body.data + body.length, 32, "%zu ", length);
    memcpy(body.data + body.length, value.data, value.length);
    body.length += value.length;
    body.data[body.length++] = '\n';
  }
  put_body(type, "PaxHeaders/x", body.data, body.length);
  return used;
}

int main(int argc, char **argv) {
  static const char zeros[1024];
  for (int i = 1; i < argc; i++) {
    const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(word, "entry") == 0) i += put_entry(argc - i - 1, argv + i + 1);
    else if (strcmp(word, "pax") == 0) i += put_pax('x', argc - i - 1, argv + i + 1);
    else if (strcmp(word, "global") == 0) i += put_pax('g', argc - i - 1, argv + i + 1);
    else if (strcmp(word, "end") == 0) fwrite(zeros, 1, sizeof zeros, stdout);
    else {
      i++;
      static struct bytes copy;
      unescape(next);
      copy = value;
      if (strcmp(word, "pax-raw") == 0) put_body('x', "PaxHeaders/x", copy.data, copy.length);
      else if (strcmp(word, "long") == 0) put_body('L', "././@LongLink", copy.data, copy.length + 1);
      else if (strcmp(word, "long-link") == 0) put_body('K', "././@LongLink", copy.data, copy.length + 1);
      else if (strcmp(word, "raw") == 0) fwrite(copy.data, 1, copy.length, stdout);
      else if (strcmp(word, "zeros") == 0) for (int n = atoi(next); n > 0; n--) fwrite(zeros, 1, 512, stdout);
      else return 2;
    }
  }
  return fflush(stdout) ? 1 : 0;
}
