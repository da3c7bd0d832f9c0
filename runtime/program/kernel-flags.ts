/** MOUNT_ATTR_* of mount_setattr(2). */
export const mountAttribute = {
  readOnly: 0x1,
  noSuid: 0x2,
  noDev: 0x4,
  noExec: 0x8,
  noAtime: 0x10,
  strictAtime: 0x20,
  noSymfollow: 0x20_0000,
  idmap: 0x10_0000,
} as const;

/** CLONE_NEW* of clone(2). */
export const namespaceFlag = {
  mount: 0x2_0000,
  cgroup: 0x200_0000,
  uts: 0x400_0000,
  ipc: 0x800_0000,
  user: 0x1000_0000,
  time: 0x80,
  pid: 0x2000_0000,
  network: 0x4000_0000,
} as const;

/** MS_* of mount(2) that say which mounts of others appear below one. `recursive` is MS_REC. */
export const propagationFlag = {
  recursive: 0x4000,
  unbindable: 1 << 17,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
} as const;

/** SECCOMP_FILTER_FLAG_* of seccomp(2). */
export const seccompFlag = {
  log: 2,
  specAllow: 4,
  newListener: 8,
  waitKillable: 32,
} as const;
