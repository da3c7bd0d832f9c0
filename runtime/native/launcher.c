#include "launcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cleanup.h"
#include "launcher-jobs.h"
#include "poll-set.h"
#include "program.h"

#define JOBS_MAX 256

/* A request that a child is busy with. */
struct job {
  uint32_t id;
  int fd; /* -1: free */
  struct wire_inbox inbox;
  bool is_answered;
};

struct launcher {
  struct wire_inbox inbox;
  struct job jobs[JOBS_MAX];
  size_t job_count;
  struct poll_set polled;
  int netlink_sockets[NETLINK_FAMILIES];
  bool is_over;
};

static void fail(uint32_t id, struct failure *failure, int error) {
  failure->stage = BERTH_STAGE_LAUNCHER;
  if (failure->error == 0) failure->error = -error;
  wire_send_failure(1, id, failure);
}

static void answer_hello(uint32_t id) {
  uint8_t bytes[64];
  struct wire_writer body = wire_writer_of(bytes, sizeof bytes);
  wire_put_u32(&body, BERTH_PROTOCOL_VERSION);
  wire_put_u32(&body, (uint32_t)getpid());
  wire_put_string(&body, BERTH_HELPER_VERSION);
  wire_send(1, id, BERTH_MSG_HELLO_OK, bytes, body.length);
}

static void end_job(struct launcher *launcher, struct job *job) {
  struct failure failure = {0};
  snprintf(failure.object, sizeof failure.object, "helper process");
  snprintf(failure.detail, sizeof failure.detail, "it ended without an answer");
  if (!job->is_answered) fail(job->id, &failure, -ECHILD);
  wire_inbox_clear(&job->inbox);
  drop_fd(&job->fd);
  launcher->job_count--;
}

/* Whole messages only, so that those of several children do not mix. */
static void job_ready(void *owner, void *object, short events) {
  struct launcher *launcher = owner;
  struct job *job = object;
  (void)events;
  for (;;) {
    int got = wire_inbox_read(&job->inbox, job->fd);
    if (got == 0) return;
    if (got < 0) {
      end_job(launcher, job);
      return;
    }
    uint16_t type = job->inbox.header.type;
    if (type != BERTH_MSG_NETLINK_REPLY && type != BERTH_MSG_CHANGES) job->is_answered = true;
    wire_send(1, job->id, job->inbox.header.type, job->inbox.body, job->inbox.header.length);
    wire_inbox_clear(&job->inbox);
  }
}

static struct job *free_job(struct launcher *launcher) {
  for (size_t i = 0; i < JOBS_MAX; i++) {
    if (launcher->jobs[i].fd < 0) return &launcher->jobs[i];
  }
  return NULL;
}

static void serve(struct launcher *launcher) {
  struct wire_inbox *request = &launcher->inbox;
  uint32_t id = request->header.id;
  struct failure failure = {0};
  int error = 0;
  if (request->header.type == BERTH_MSG_HELLO) {
    answer_hello(id);
  } else if (request->header.type == BERTH_MSG_NOTIFY) {
    error = job_notify(request, &failure);
    if (error == 0) wire_send(1, id, BERTH_MSG_DONE, NULL, 0);
  } else if (!job_run_here(request, launcher->netlink_sockets)) {
    struct job *job = free_job(launcher);
    int report_fd = -1;
    error = job == NULL ? -EAGAIN : job_start(request, &report_fd, &failure);
    if (error == 0) {
      *job = (struct job){.id = id, .fd = report_fd};
      launcher->job_count++;
    }
  }
  if (error < 0) fail(id, &failure, error);
  wire_inbox_clear(request);
}

static void request_ready(void *owner, void *object, short events) {
  struct launcher *launcher = owner;
  (void)object;
  (void)events;
  int got = wire_inbox_read(&launcher->inbox, 0);
  if (got == 1) serve(launcher);
  if (got == -EPROTO) {
    struct failure failure = {0};
    snprintf(failure.object, sizeof failure.object, "message");
    fail(launcher->inbox.header.id, &failure, got);
  }
  if (got < 0) launcher->is_over = true;
}

/* Children are reaped by the kernel (SIGCHLD ignored); signals of the agent's terminal are the agent's business. */
static void set_signals(void) {
  signal(SIGCHLD, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
}

int launcher_run(void) {
  static struct launcher launcher;
  prctl(PR_SET_NAME, "berth-launcher");
  prctl(PR_SET_DUMPABLE, 0);
  if (chdir("/") < 0) return 1;
  set_signals();
  for (size_t i = 0; i < JOBS_MAX; i++) launcher.jobs[i].fd = -1;
  for (size_t i = 0; i < NETLINK_FAMILIES; i++) launcher.netlink_sockets[i] = -1;
  while (!launcher.is_over) {
    if (launcher.job_count < JOBS_MAX) {
      poll_set_add(&launcher.polled, 0, POLLIN, (struct poll_watch){request_ready, &launcher, NULL});
    }
    for (size_t i = 0; i < JOBS_MAX; i++) {
      poll_set_add(&launcher.polled, launcher.jobs[i].fd, POLLIN,
                   (struct poll_watch){job_ready, &launcher, &launcher.jobs[i]});
    }
    poll_set_run(&launcher.polled, -1);
  }
  return 0;
}
