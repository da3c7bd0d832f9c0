#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process.h"

#define CAPABILITIES_MAX 64

static int set_three(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  for (unsigned i = 0; i < 2; i++) {
    data[i].effective = (uint32_t)(effective >> (32 * i));
    data[i].permitted = (uint32_t)(permitted >> (32 * i));
    data[i].inheritable = (uint32_t)(inheritable >> (32 * i));
  }
  return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int get_permitted(uint64_t *permitted, uint64_t *inheritable) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  if (syscall(SYS_capget, &header, data) < 0) return -errno;
  *permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
  *inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
  return 0;
}

int process_raise_permitted(void) {
  uint64_t permitted = 0, inheritable = 0;
  int error = get_permitted(&permitted, &inheritable);
  return error < 0 ? error : set_three(permitted, permitted, inheritable);
}

void process_keep_only(uint64_t mask) {
  uint64_t permitted = 0, inheritable = 0;
  /* Where they cannot be read, none is kept. */
  get_permitted(&permitted, &inheritable);
  set_three(permitted & mask, permitted & mask, 0);
}

/* Up to the first number that this kernel does not know. */
static int drop_bounding(uint64_t kept) {
  for (unsigned long capability = 0; capability < CAPABILITIES_MAX; capability++) {
    if ((kept >> capability & 1) != 0) continue;
    int present = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (present < 0) return errno == EINVAL ? 0 : -errno;
    if (present == 1 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) return -errno;
  }
  return 0;
}

int process_set_capabilities(const struct capability_sets *sets) {
  int error = drop_bounding(sets->bounding);
  if (error < 0) return error;
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) return -errno;
  error = set_three(sets->effective, sets->permitted, sets->inheritable);
  for (unsigned long capability = 0; error == 0 && capability < CAPABILITIES_MAX; capability++) {
    if ((sets->ambient >> capability & 1) == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0) error = -errno;
  }
  return error;
}
