#include "layer-stream.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "gunzip.h"
#include "kernel-abi.h"
#include "layer-keeper.h"
#include "protocol.h"
#include "unzstd.h"

#define PIPE_BYTES (1 << 20)
#define FIRST_FD 3
/* Above all that is open at first. */
#define PARKED_FD 64

struct decoder_report {
  enum decode_end end;
  int error;
  uint64_t bytes_in;
  uint64_t bytes_out;
};

static int fail(struct failure *failure, int error, const char *detail) {
  failure->error = error;
  snprintf(failure->detail, sizeof failure->detail, "%s", detail);
  return -1;
}

static int make_pipe(int ends[2]) {
  if (pipe2(ends, O_CLOEXEC) < 0) return -1;
  /* Smaller where the user's share of pipe memory is used up. */
  fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
  return 0;
}

/* The descriptors become FIRST_FD and its successors, everything else is closed. */
static int hold_only(const int *fds, int count) {
  for (int i = 0; i < count; i++)
    if (fds[i] >= 0 && fcntl(fds[i], F_DUPFD_CLOEXEC, PARKED_FD + i) != PARKED_FD + i) return -1;
  for (int i = 0; i < count; i++)
    if (fds[i] >= 0 && dup2(PARKED_FD + i, FIRST_FD + i) < 0) return -1;
  return sys_close_range((unsigned)(FIRST_FD + count), ~0u, 0);
}

static _Noreturn void run_keeper(const int fds[4]) {
  struct keeper_report report = {.error = EMFILE};
  if (hold_only(fds, 4) < 0) _exit(1);
  layer_keep(FIRST_FD, fds[1] < 0 ? -1 : FIRST_FD + 1, FIRST_FD + 2, &report);
  wire_write_all(FIRST_FD + 3, &report, sizeof report);
  _exit(0);
}

/* From here on the kernel knows no system calls but read, write and exit of one thread. */
static int give_up_system_calls(void) {
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
}

static struct decoder_report decode_gzip(const struct layer_source *source) {
  static struct inflate inflate;
  inflate.dense_from = source->dense_from;
  inflate.ratio_max = source->ratio_max;
  inflate.input.fd = FIRST_FD;
  inflate.output.fd = FIRST_FD + 1;
  if (give_up_system_calls() < 0) _exit(1);
  enum decode_end end = gunzip(&inflate);
  return (struct decoder_report){.end = end, .error = inflate.error, .bytes_in = inflate.bytes_in,
                                 .bytes_out = inflate.bytes_out};
}

static struct decoder_report decode_zstd(const struct layer_source *source) {
  struct unzstd decoder = {.from = FIRST_FD, .to = FIRST_FD + 1, .dense_from = source->dense_from,
                           .ratio_max = source->ratio_max};
  if (unzstd_open(&decoder) < 0 || give_up_system_calls() < 0) _exit(1);
  enum decode_end end = unzstd(&decoder);
  return (struct decoder_report){.end = end, .error = decoder.error, .bytes_in = decoder.bytes_in,
                                 .bytes_out = decoder.bytes_out};
}

static _Noreturn void run_decoder(const int fds[3], const struct layer_source *source) {
  if (hold_only(fds, 3) < 0) _exit(1);
  struct decoder_report report = source->encoding == BERTH_ENCODING_ZSTD ? decode_zstd(source) : decode_gzip(source);
  ssize_t put = write(FIRST_FD + 2, &report, sizeof report);
  syscall(SYS_exit, put == sizeof report ? 0 : 1);
  __builtin_unreachable();
}

static pid_t fork_bound(void) {
  pid_t parent = getpid(), pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  return 0;
}

static int start_keeper(struct layer_stream *stream, const struct layer_source *source) {
  int data[2], report[2];
  if (!source->has_keeper) {
    stream->archive = fcntl(source->sender, F_DUPFD_CLOEXEC, FIRST_FD);
    return stream->archive < 0 ? -1 : 0;
  }
  if (make_pipe(data) < 0) return -1;
  OWNED_FD data_in = data[1];
  stream->archive = data[0];
  if (pipe2(report, O_CLOEXEC) < 0) return -1;
  OWNED_FD report_in = report[1];
  stream->keeper_report = report[0];
  stream->keeper = fork_bound();
  if (stream->keeper == 0) run_keeper((const int[]){source->sender, source->kept, data_in, report_in});
  return stream->keeper < 0 ? -1 : 0;
}

/* Takes the place of the tar reader behind the keeper. */
static int start_decoder(struct layer_stream *stream, const struct layer_source *source) {
  int data[2], report[2];
  if (make_pipe(data) < 0) return -1;
  OWNED_FD data_in = data[1];
  OWNED_FD encoded = stream->archive;
  stream->archive = data[0];
  if (pipe2(report, O_CLOEXEC) < 0) return -1;
  OWNED_FD report_in = report[1];
  stream->decoder_report = report[0];
  stream->decoder = fork_bound();
  if (stream->decoder == 0) run_decoder((const int[]){encoded, data_in, report_in}, source);
  return stream->decoder < 0 ? -1 : 0;
}

int layer_stream_open(struct layer_stream *stream, const struct layer_source *source, struct failure *failure) {
  *stream = (struct layer_stream){.archive = -1, .keeper_report = -1, .decoder_report = -1, .keeper = -1, .decoder = -1,
                                  .encoding = source->encoding};
  bool is_plain = source->encoding == BERTH_ENCODING_NONE;
  if (start_keeper(stream, source) == 0 && (is_plain || start_decoder(stream, source) == 0)) return 0;
  fail(failure, errno, "cannot start the processes that bring the layer");
  layer_stream_close(stream);
  return -1;
}

/* The whole report: it is shorter than what a pipe writes in one piece. */
static bool get_report(int fd, void *report, size_t length) {
  ssize_t got;
  do got = read(fd, report, length);
  while (got < 0 && errno == EINTR);
  return got == (ssize_t)length;
}

static int fail_decoding(const struct layer_stream *stream, struct failure *failure, const char *how) {
  const char *name = stream->encoding == BERTH_ENCODING_ZSTD ? "zstd" : "gzip";
  failure->error = EILSEQ;
  snprintf(failure->detail, sizeof failure->detail, "it is not valid %s%s", name, how);
  return -1;
}

/* `saw_end`: it read its input to the end, so the keeper has nothing left to wait for. */
static int check_decoder(const struct layer_stream *stream, bool *saw_end, struct failure *failure) {
  struct decoder_report report;
  *saw_end = false;
  if (!get_report(stream->decoder_report, &report, sizeof report))
    return fail(failure, ECHILD, "the decoder ended without an answer");
  *saw_end = report.end == DECODE_DONE || report.end == DECODE_CUT;
  switch (report.end) {
    case DECODE_DONE: return 0;
    case DECODE_DAMAGED: return fail_decoding(stream, failure, "");
    case DECODE_CUT: return fail_decoding(stream, failure, ": it ends too early");
    case DECODE_TOO_DENSE:
      snprintf(failure->detail, sizeof failure->detail,
               "it unpacks to more than %llu bytes from %llu, which looks like a bomb",
               (unsigned long long)report.bytes_out, (unsigned long long)report.bytes_in);
      failure->error = EFBIG;
      return -1;
    case DECODE_CANNOT_READ:
    case DECODE_CANNOT_WRITE:
    default: return fail(failure, report.error, "cannot decode it");
  }
}

int layer_stream_end(struct layer_stream *stream, struct layer_origin *origin, struct failure *failure) {
  struct keeper_report report;
  bool saw_end = true;
  int decoded = stream->decoder_report < 0 ? 0 : check_decoder(stream, &saw_end, failure);
  if (!saw_end) return -1;
  if (stream->keeper_report < 0) return decoded;
  if (!get_report(stream->keeper_report, &report, sizeof report))
    return fail(failure, ECHILD, "what keeps the layer's bytes ended without an answer");
  /* Its input ended because the keeper gave up. */
  if (report.error != 0) return fail(failure, report.error, "cannot keep the layer as it came");
  *origin = report.origin;
  return decoded;
}

void layer_stream_explain(struct layer_stream *stream, struct failure *failure) {
  struct failure earlier = {0};
  struct layer_origin origin;
  if (failure->error != ENODATA || layer_stream_end(stream, &origin, &earlier) == 0) return;
  failure->error = earlier.error;
  memcpy(failure->detail, earlier.detail, sizeof earlier.detail);
}

static void end_process(pid_t pid) {
  if (pid <= 0) return;
  kill(pid, SIGKILL);
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
}

void layer_stream_close(struct layer_stream *stream) {
  drop_fd(&stream->archive);
  drop_fd(&stream->keeper_report);
  drop_fd(&stream->decoder_report);
  end_process(stream->keeper);
  end_process(stream->decoder);
}
