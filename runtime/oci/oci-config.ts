/** `config.json` of the OCI runtime specification, 1.3: what berth reads of it. Unknown properties are passed over. */
import { z } from "zod";

const Int = z.int();
const Id = z.int().min(0).max(0xffff_fffe);
const Word = z.union([z.bigint(), z.int()]).transform((value) => BigInt(value));
const Strings = z.array(z.string());

const Hook = z.object({
  path: z.string().startsWith("/", "an absolute path is expected"),
  args: Strings.nullish(),
  env: Strings.nullish(),
  timeout: z.int().positive("more than 0 seconds are expected").nullish(),
});
export type OciHook = z.infer<typeof Hook>;

const Hooks = z.object({
  prestart: z.array(Hook).nullish(),
  createRuntime: z.array(Hook).nullish(),
  createContainer: z.array(Hook).nullish(),
  startContainer: z.array(Hook).nullish(),
  poststart: z.array(Hook).nullish(),
  poststop: z.array(Hook).nullish(),
});

const Capabilities = z.object({
  bounding: Strings.nullish(),
  effective: Strings.nullish(),
  inheritable: Strings.nullish(),
  permitted: Strings.nullish(),
  ambient: Strings.nullish(),
});

const Scheduler = z.object({
  policy: z.enum([
    "SCHED_OTHER",
    "SCHED_FIFO",
    "SCHED_RR",
    "SCHED_BATCH",
    "SCHED_ISO",
    "SCHED_IDLE",
    "SCHED_DEADLINE",
  ]),
  nice: z.int().min(-20).max(19).nullish(),
  priority: z.int().min(0).max(99).nullish(),
  flags: z
    .array(
      z.enum([
        "SCHED_FLAG_RESET_ON_FORK",
        "SCHED_FLAG_RECLAIM",
        "SCHED_FLAG_DL_OVERRUN",
        "SCHED_FLAG_KEEP_POLICY",
        "SCHED_FLAG_KEEP_PARAMS",
        "SCHED_FLAG_UTIL_CLAMP_MIN",
        "SCHED_FLAG_UTIL_CLAMP_MAX",
      ]),
    )
    .nullish(),
  runtime: Word.nullish(),
  deadline: Word.nullish(),
  period: Word.nullish(),
});

/** `process`, which `exec --process` reads, too. */
export const OciProcess = z.object({
  terminal: z.boolean().nullish(),
  consoleSize: z.object({ height: z.int().min(0), width: z.int().min(0) }).nullish(),
  user: z
    .object({
      uid: Id.default(0),
      gid: Id.default(0),
      umask: z.int().min(0).max(0o777).nullish(),
      additionalGids: z.array(Id).nullish(),
    })
    .prefault({}),
  args: Strings.min(1, "a program is expected"),
  env: Strings.nullish(),
  cwd: z.string().startsWith("/", "an absolute path is expected"),
  capabilities: Capabilities.nullish(),
  rlimits: z.array(z.object({ type: z.string(), hard: Word, soft: Word })).nullish(),
  noNewPrivileges: z.boolean().nullish(),
  apparmorProfile: z.string().nullish(),
  selinuxLabel: z.string().nullish(),
  scheduler: Scheduler.nullish(),
  ioPriority: z
    .object({
      class: z.enum(["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]),
      priority: z.int().min(0).max(7).nullish(),
    })
    .nullish(),
  oomScoreAdj: z.int().min(-1000).max(1000).nullish(),
  execCPUAffinity: z
    .object({ initial: z.string().nullish(), final: z.string().nullish() })
    .nullish(),
});
export type OciProcess = z.infer<typeof OciProcess>;

const IdMapping = z.object({ containerID: Id, hostID: Id, size: z.int().min(1) });

const Mount = z.object({
  destination: z.string().min(1),
  type: z.string().nullish(),
  source: z.string().nullish(),
  options: Strings.nullish(),
  uidMappings: z.array(IdMapping).nullish(),
  gidMappings: z.array(IdMapping).nullish(),
});
export type OciMount = z.infer<typeof Mount>;

const Device = z.object({
  path: z.string().startsWith("/"),
  type: z.enum(["c", "b", "u", "p"]),
  major: Int.nullish(),
  minor: Int.nullish(),
  fileMode: Int.nullish(),
  uid: Id.nullish(),
  gid: Id.nullish(),
});

const DeviceCgroup = z.object({
  allow: z.boolean().default(false),
  type: z.enum(["a", "b", "c"]).nullish(),
  major: Int.nullish(),
  minor: Int.nullish(),
  access: z
    .string()
    .regex(/^[rwm]*$/)
    .nullish(),
});
export type OciDeviceCgroup = z.infer<typeof DeviceCgroup>;

const Throttle = z.array(z.object({ major: Int, minor: Int, rate: Word })).nullish();

/** `linux.resources`, which `update` reads, too. */
export const OciResources = z.object({
  devices: z.array(DeviceCgroup).nullish(),
  memory: z
    .object({
      limit: Int.nullish(),
      reservation: Int.nullish(),
      swap: Int.nullish(),
      kernel: Int.nullish(),
      kernelTCP: Int.nullish(),
      swappiness: Int.nullish(),
      disableOOMKiller: z.boolean().nullish(),
      useHierarchy: z.boolean().nullish(),
      checkBeforeUpdate: z.boolean().nullish(),
    })
    .nullish(),
  cpu: z
    .object({
      shares: Int.nullish(),
      quota: Int.nullish(),
      burst: Int.nullish(),
      period: Int.nullish(),
      realtimeRuntime: Int.nullish(),
      realtimePeriod: Int.nullish(),
      cpus: z.string().nullish(),
      mems: z.string().nullish(),
      idle: Int.nullish(),
    })
    .nullish(),
  pids: z.object({ limit: Int.nullish() }).nullish(),
  blockIO: z
    .object({
      weight: Int.nullish(),
      leafWeight: Int.nullish(),
      weightDevice: z
        .array(
          z.object({ major: Int, minor: Int, weight: Int.nullish(), leafWeight: Int.nullish() }),
        )
        .nullish(),
      throttleReadBpsDevice: Throttle,
      throttleWriteBpsDevice: Throttle,
      throttleReadIOPSDevice: Throttle,
      throttleWriteIOPSDevice: Throttle,
    })
    .nullish(),
  hugepageLimits: z.array(z.object({ pageSize: z.string(), limit: Word })).nullish(),
  network: z
    .object({
      classID: Int.nullish(),
      priorities: z.array(z.object({ name: z.string(), priority: Int })).nullish(),
    })
    .nullish(),
  unified: z.record(z.string(), z.string()).nullish(),
});
export type OciResources = z.infer<typeof OciResources>;

const TimeOffset = z
  .object({ secs: Word.nullish(), nanosecs: z.int().min(0).max(999_999_999).nullish() })
  .nullish();

const Linux = z.object({
  namespaces: z
    .array(
      z.object({
        type: z.enum(["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"]),
        path: z.string().nullish(),
      }),
    )
    .nullish(),
  uidMappings: z.array(IdMapping).nullish(),
  gidMappings: z.array(IdMapping).nullish(),
  devices: z.array(Device).nullish(),
  cgroupsPath: z.string().nullish(),
  resources: OciResources.nullish(),
  sysctl: z.record(z.string(), z.string()).nullish(),
  seccomp: z.record(z.string(), z.unknown()).nullish(),
  rootfsPropagation: z.string().nullish(),
  maskedPaths: Strings.nullish(),
  readonlyPaths: Strings.nullish(),
  mountLabel: z.string().nullish(),
  intelRdt: z.record(z.string(), z.unknown()).nullish(),
  netDevices: z.record(z.string(), z.object({ name: z.string().nullish() }).nullable()).nullish(),
  personality: z
    .object({ domain: z.enum(["LINUX", "LINUX32"]), flags: Strings.nullish() })
    .nullish(),
  timeOffsets: z.strictObject({ monotonic: TimeOffset, boottime: TimeOffset }).nullish(),
  memoryPolicy: z
    .object({
      mode: z.enum([
        "MPOL_DEFAULT",
        "MPOL_BIND",
        "MPOL_INTERLEAVE",
        "MPOL_WEIGHTED_INTERLEAVE",
        "MPOL_PREFERRED",
        "MPOL_PREFERRED_MANY",
        "MPOL_LOCAL",
      ]),
      nodes: z.string().nullish(),
      flags: z
        .array(z.enum(["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"]))
        .nullish(),
    })
    .nullish(),
});

export const OciConfig = z.object({
  ociVersion: z.string().regex(/^1\.\d+\.\d+/, "version 1.x of the specification is expected"),
  process: OciProcess.nullish(),
  root: z.object({ path: z.string().min(1), readonly: z.boolean().nullish() }),
  hostname: z.string().nullish(),
  domainname: z.string().nullish(),
  mounts: z.array(Mount).nullish(),
  hooks: Hooks.nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
  linux: Linux.prefault({}),
});
export type OciConfig = z.infer<typeof OciConfig>;
