/* The log: every line is one JSON object, whatever a container writes, and files stay within their bounds.
 *
 *     log-lines SEED COUNT DIRECTORY
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../runtime/native/log-file.h"
#include "check.h"

#define TEXT_BYTES (4 << 20)

static char path[4096];
static char text[TEXT_BYTES];
static uint8_t decoded[TEXT_BYTES];

static size_t read_file(const char *suffix) {
  char name[4200];
  snprintf(name, sizeof name, "%s%s", path, suffix);
  int fd = open(name, O_RDONLY);
  ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  text[got > 0 ? got : 0] = '\0';
  return got > 0 ? (size_t)got : 0;
}

static void remove_files(void) {
  static const char *const suffixes[] = {"", ".1", ".2", ".3"};
  char name[4200];
  for (size_t i = 0; i < 4; i++) {
    snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
    unlink(name);
  }
}

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

/* Length of the JSON string's escape or byte at `at`; 0: not JSON. Puts what it means into `into`. */
static size_t take_character(const char *at, uint8_t *into, size_t *count) {
  if ((unsigned char)*at < 0x20) return 0;
  if (*at != '\\') {
    into[(*count)++] = (uint8_t)*at;
    return 1;
  }
  if (at[1] == 'u') {
    if (!is_hex(at[2]) || !is_hex(at[3]) || !is_hex(at[4]) || !is_hex(at[5])) return 0;
    unsigned value = (unsigned)strtoul((char[]){at[2], at[3], at[4], at[5], 0}, NULL, 16);
    if (value < 0x80) into[(*count)++] = (uint8_t)value;
    else *count += (size_t)(stpcpy((char *)into + *count, "\xef\xbf\xbd") - ((char *)into + *count));
    return 6;
  }
  static const char names[] = "nrt\"\\", meanings[] = "\n\r\t\"\\";
  const char *name = strchr(names, at[1]);
  if (at[1] == '\0' || name == NULL) return 0;
  into[(*count)++] = (uint8_t)meanings[name - names];
  return 2;
}

/* Decodes all lines, appending their text; -1 where one is not as it should be. */
static ssize_t decode(const char *at) {
  size_t count = 0;
  while (*at != '\0') {
    if (strncmp(at, "{\"log\":\"", 8) != 0) return -1;
    for (at += 8; *at != '"';) {
      size_t step = take_character(at, decoded, &count);
      if (step == 0) return -1;
      at += step;
    }
    int year, month, day, hour, minute, second, length = 0;
    char stream[8];
    unsigned long nanoseconds;
    if (sscanf(at, "\",\"stream\":\"%7[a-z]\",\"time\":\"%4d-%2d-%2dT%2d:%2d:%2d.%9luZ\"}\n%n", stream, &year, &month,
               &day, &hour, &minute, &second, &nanoseconds, &length) != 8 || length == 0) return -1;
    if (month < 1 || month > 12 || day < 1 || day > 31) return -1;
    at += length;
  }
  return (ssize_t)count;
}

/* Writes output as a supervisor does: read after read into one buffer. */
static void pump(struct log_file *log, const uint8_t *bytes, size_t length) {
  static uint8_t buffer[LOG_LINE_BYTES_MAX];
  size_t have = 0;
  for (size_t at = 0; at < length;) {
    size_t piece = 1 + random_below(random_below(8) == 0 ? 20000 : 200);
    if (piece > LOG_LINE_BYTES_MAX - have) piece = LOG_LINE_BYTES_MAX - have;
    if (piece > length - at) piece = length - at;
    memcpy(buffer + have, bytes + at, piece);
    at += piece;
    have = log_file_lines(log, "stdout", buffer, have + piece, 0);
    CHECK(have < LOG_LINE_BYTES_MAX, "there is room for the next read");
  }
  log_file_lines(log, "stdout", buffer, have, 1);
}

static void write_log(const void *bytes, size_t length, uint64_t bytes_max, uint32_t files_max) {
  struct log_file log;
  CHECK(log_file_open(&log, path, bytes_max, files_max) == 0, "the log opens");
  pump(&log, bytes, length);
  log_file_close(&log);
}

static void test_text(void) {
  static const char said[] = "plain\nquote \" and \\ and \t tab\r\n\xc3\xa9 \xf0\x9f\x98\x80\x01\n no end";
  remove_files();
  write_log(said, sizeof said - 1, 1 << 20, 3);
  read_file("");
  ssize_t count = decode(text);
  CHECK(count == sizeof said - 1 && memcmp(decoded, said, sizeof said - 1) == 0, "text comes back as it was");
  static const char first[] = "{\"log\":\"plain\\n\",\"stream\":\"stdout\",\"time\":\"20";
  CHECK(strncmp(text, first, sizeof first - 1) == 0, "in docker's form");
  CHECK(strstr(text, "{\"log\":\" no end\",") != NULL, "an unfinished line has no newline");
}

static void test_invalid(void) {
  static const char said[] = "\xff \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82\n";
  static const char wanted[] = "\\ufffd \\ufffd\\ufffd \\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\\ufffd\\ufffd "
                               "\\ufffd\\ufffd\\n";
  remove_files();
  write_log(said, sizeof said - 1, 1 << 20, 3);
  read_file("");
  CHECK(strstr(text, wanted) != NULL, "what is not UTF-8 is replaced, byte by byte");
}

static void test_long_line(void) {
  size_t length = 3 * LOG_LINE_BYTES_MAX + 100;
  uint8_t *line = malloc(length);
  line[0] = 'a';
  for (size_t i = 1; i < length - 1; i++) line[i] = i % 2 == 1 ? 0xc3 : 0xa9;
  line[length - 1] = '\n';
  remove_files();
  write_log(line, length, 1 << 20, 3);
  read_file("");
  ssize_t count = decode(text);
  CHECK(strchr(text, '\n') != strrchr(text, '\n'), "an endless line is split");
  CHECK(count == (ssize_t)length && memcmp(decoded, line, length) == 0, "and never within a character");
  free(line);
}

static void test_rotation(void) {
  remove_files();
  size_t length = 400000;
  char *lines = malloc(length);
  for (size_t i = 0; i < length; i++) lines[i] = i % 40 == 39 ? '\n' : 'x';
  write_log(lines, length, 20000, 3);
  size_t sizes[3] = {read_file(""), read_file(".1"), read_file(".2")};
  for (size_t i = 0; i < 3; i++) CHECK(sizes[i] > 0 && sizes[i] < 20000 + 300, "each file keeps to its size");
  CHECK(read_file(".3") == 0, "there are no more files than asked for");
  read_file(".1");
  CHECK(decode(text) > 0, "files begin and end with whole lines");
  remove_files();
  write_log(lines, length, 20000, 1);
  CHECK(read_file("") < 20000 + 300 && read_file(".1") == 0, "a single file is begun anew");
  free(lines);
}

static void test_reopening(void) {
  struct log_file log;
  char moved[4200];
  remove_files();
  CHECK(log_file_open(&log, path, 1 << 20, 2) == 0, "the log opens");
  snprintf(moved, sizeof moved, "%s.1", path);
  CHECK(rename(path, moved) == 0 && log_file_reopen(&log) == 0, "it is reopened");
  pump(&log, (const uint8_t *)"new\n", 4);
  log_file_close(&log);
  CHECK(read_file("") > 0 && strstr(text, "new") != NULL, "new lines are in the new file");
  CHECK(read_file(".1") == 0, "and not in the old one");
}

static void test_random(int count) {
  static uint8_t bytes[60000];
  for (int i = 0; i < count; i++) {
    size_t length = random_below(sizeof bytes);
    bool is_text = random_below(2) == 0;
    for (size_t at = 0; at < length; at++) {
      bytes[at] = is_text ? (uint8_t)"ab\n\xc3\xa9\"\\"[random_below(7)] : (uint8_t)next_random();
    }
    remove_files();
    write_log(bytes, length, 4 << 20, 2);
    read_file("");
    CHECK(decode(text) >= 0, "any bytes become JSON");
  }
}

int main(int argc, char **argv) {
  seed_random(argc > 1 ? argv[1] : "1");
  snprintf(path, sizeof path, "%s/log", argc > 3 ? argv[3] : ".");
  test_text();
  test_invalid();
  test_long_line();
  test_rotation();
  test_reopening();
  test_random(argc > 2 ? atoi(argv[2]) : 100);
  remove_files();
  return report_checks("log-lines");
}
