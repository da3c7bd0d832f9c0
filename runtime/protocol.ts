/** The wire between berth and its helper: twin of `native/protocol.h`, which says what each constant carries. */

export const PROTOCOL_VERSION = 4;
/** The oldest that a supervisor may speak which is taken over. */
export const PROTOCOL_VERSION_OLDEST = 1;
export const HEADER_BYTES = 12;
export const MESSAGE_BYTES_MAX = 4194304;
export const SLOTS = 192;
export const SLOT_NONE = 0xffffffff;

/** Types of a message. */
export const message = {
  hello: 1,
  start: 2,
  unpack: 3,
  run: 4,
  removeTree: 5,
  notify: 6,
  takeFiles: 7,
  fingerprint: 8,
  status: 32,
  signal: 33,
  release: 34,
  exec: 35,
  attach: 36,
  input: 37,
  resize: 38,
  execSignal: 39,
  rotate: 40,
  helloOk: 64,
  done: 65,
  error: 66,
  started: 67,
  state: 68,
  exited: 69,
  output: 70,
  netlinkReply: 71,
  unpacked: 72,
  changes: 73,
  fileTaken: 74,
  fingerprints: 75,
} as const;

/** What of a file a fingerprint covers. */
export const print = {
  content: 0,
  status: 1,
} as const;

/** Operations of a program; `protocol.h` names the fields of each. */
export const op = {
  mkdir: 1,
  writeFile: 2,
  open: 3,
  openTree: 4,
  mountSetattr: 5,
  fsopen: 6,
  userNamespace: 7,
  netlink: 8,
  cgroupAttach: 9,
  unlink: 10,
  clone: 11,
  idMap: 12,
  childNamespace: 13,
  passFds: 14,
  notify: 15,
  initBegin: 16,
  join: 17,
  childOomScore: 18,
  childRlimit: 19,
  cgroupDevices: 20,
  copyTree: 21,
  fsIds: 22,
  enter: 23,
  makeNode: 24,
  treeChanges: 25,
  childLabel: 26,
  putFile: 27,
  consoleSocket: 28,
  listen: 29,
  container: 30,
  hook: 31,
  takeFds: 32,
  await: 33,
  attachRoot: 34,
  mount: 35,
  makeDir: 36,
  makeSymlink: 37,
  readOnly: 38,
  mask: 39,
  pivot: 40,
  rootReadOnly: 41,
  hostname: 42,
  sysctl: 43,
  rlimit: 44,
  unshare: 45,
  session: 46,
  tty: 47,
  keyring: 48,
  umask: 49,
  ids: 50,
  capabilities: 51,
  noNewPrivs: 52,
  seccomp: 53,
  chdir: 54,
  reap: 55,
  exec: 56,
  hold: 57,
  privateMounts: 58,
  bindFromRoot: 59,
  cgroupEnter: 60,
  proc: 61,
  label: 62,
  seccompAgent: 63,
  openOrMakeDirs: 64,
  scheduler: 65,
  ioPriority: 66,
  personality: 67,
  affinity: 68,
  memoryPolicy: 69,
  timeOffsets: 70,
  netlinkIn: 71,
  holdUntil: 72,
  find: 73,
  copyOut: 74,
  copyIn: 75,
  pack: 76,
  dress: 77,
  dial: 78,
  replaceMount: 79,
  end: 80,
  undo: 81,
} as const;

/** Flags of an operation. */
export const opFlag = {
  optional: 1,
  mayBeAbsent: 2,
} as const;

/** Flags of START. */
export const startFlag = {
  hold: 1,
  stdin: 2,
  tty: 4,
  inherit: 8,
  leave: 16,
} as const;

/** Flags of EXEC. */
export const execFlag = {
  stdin: 1,
  tty: 2,
  detach: 4,
} as const;

/** How an archive is sent to UNPACK. */
export const encoding = {
  none: 0,
  gzip: 1,
  zstd: 2,
} as const;

/** What an archive holds. */
export const taken = {
  file: 0,
  hardLink: 1,
  symlink: 2,
} as const;

/** Flags of ATTACH. */
export const attachFlag = {
  stdin: 1,
  output: 2,
  owner: 4,
} as const;

/** Kinds of an FSOPEN parameter. */
export const fsParameter = {
  flag: 0,
  string: 1,
  fd: 2,
} as const;

/** Flags of COPY_OUT and COPY_IN. */
export const copyFlag = {
  follow: 1,
  contents: 2,
  extract: 4,
  keepIds: 8,
} as const;

/** Flags of PACK. */
export const packFlag = {
  changes: 1,
} as const;

/** Who failed. */
export const stage = {
  launcher: 1,
  supervisor: 2,
  init: 3,
  exec: 4,
  unpack: 5,
} as const;
