import type { CgroupWrite } from "../cgroups/cgroup-write.ts";
import type { FsParameter } from "../program/host-operations.ts";

/** One line of uid_map or gid_map (user_namespaces(7)). */
export type IdRange = {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
};

export type IdMaps = { readonly uids: readonly IdRange[]; readonly gids: readonly IdRange[] };

/** A namespace of its own, the host's, or the one that a file such as `/proc/7/ns/net` stands for. */
export type NamespacePlan =
  | { readonly kind: "new" }
  | { readonly kind: "host" }
  | { readonly kind: "path"; readonly path: string };

export type UserNamespacePlan =
  | ({ readonly kind: "new" } & IdMaps)
  | { readonly kind: "host" }
  | { readonly kind: "path"; readonly path: string };

export type TimeNamespacePlan =
  | {
      readonly kind: "new";
      /** Lines of timens_offsets (time_namespaces(7)); undefined: the clocks of whoever makes it. */
      readonly offsets?: string;
    }
  | { readonly kind: "host" }
  | { readonly kind: "path"; readonly path: string };

/** The mount namespace is always a new one: nothing else keeps a container's mounts from the host. */
export type NamespacePlans = {
  readonly user: UserNamespacePlan;
  readonly pid: NamespacePlan;
  readonly network: NamespacePlan;
  readonly ipc: NamespacePlan;
  readonly uts: NamespacePlan;
  readonly cgroup: NamespacePlan;
  readonly time: TimeNamespacePlan;
};

/** Masks as `capset` takes them. */
export type CapabilitySets = {
  readonly bounding: bigint;
  readonly permitted: bigint;
  readonly effective: bigint;
  readonly inheritable: bigint;
  readonly ambient: bigint;
};

/** `resource` is a number of `resourceLimits`. Infinity is 2^64 - 1. */
export type RlimitPlan = {
  readonly resource: number;
  readonly soft: bigint;
  readonly hard: bigint;
  /** The hard limit is above the agent's own: the supervisor raises it, with the host's rights. */
  readonly raises: boolean;
};

/** `text` as the module reads it from attr/exec: `exec PROFILE` of AppArmor, a context of SELinux. */
export type LabelPlan = { readonly module: "apparmor" | "selinux"; readonly text: string };

/** Fields of sched_setattr(2). */
export type SchedulerPlan = {
  readonly policy: number;
  readonly flags: bigint;
  readonly nice: number;
  readonly priority: number;
  readonly runtime: bigint;
  readonly deadline: bigint;
  readonly period: bigint;
};

/** What the payload is and may do, for the first process and for every further one. */
export type ProcessPlan = {
  readonly argv: readonly string[];
  /** `NAME=value`. */
  readonly environment: readonly string[];
  readonly workingDir: string;
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    readonly supplementaryGids: readonly number[];
  };
  readonly capabilities: CapabilitySets;
  /** As it is inherited where undefined. */
  readonly scheduler?: SchedulerPlan;
  /** Of ioprio_set(2). */
  readonly ioPriority?: { readonly class: number; readonly priority: number };
  /** Of set_mempolicy(2): the mode with its flags, one bit a node in whole words of 64. */
  readonly memoryPolicy?: { readonly mode: number; readonly nodes: Uint8Array };
  /** CPUs that a further process begins on, and those that it runs on in its cgroup: one bit each in whole words of 64. */
  readonly execAffinity?: { readonly initial?: Uint8Array; readonly final?: Uint8Array };
  /** Of personality(2). */
  readonly personality?: number;
  /** Undefined: no filter. `flags` are those of seccomp(2). */
  readonly seccomp: { readonly program: Uint8Array; readonly flags: number } | undefined;
  readonly noNewPrivileges: boolean;
  /** What a security module of the kernel confines it by; undefined: nothing beyond what confines the agent. */
  readonly label: LabelPlan | undefined;
  readonly umask: number;
  readonly rlimits: readonly RlimitPlan[];
  readonly oomScoreAdj: number | undefined;
  /** Undefined: no terminal. */
  readonly terminal: { readonly rows: number; readonly columns: number } | undefined;
};

/**
 * Which ids a source carries on disk: `store` is the shifted range of everything berth keeps, `host` is the host's own
 * 0 to 65535, `none` leaves them as they are, maps are given to a user namespace of the mount's own.
 */
export type MountIds = "store" | "host" | "none" | IdMaps;

/** Mounts are put in place in the order of the plan. `flags` are MOUNT_ATTR_* to set, `propagation` is MS_*. */
export type PlannedMount = {
  readonly target: string;
  readonly flags: number;
} & (
  | {
      readonly kind: "bind";
      readonly source: string;
      readonly fileType: "directory" | "file";
      /** Take mounts below the source along. */
      readonly recursive: boolean;
      /** The flags hold for those mounts too. */
      readonly recursiveFlags: boolean;
      readonly ids: MountIds;
      /** MS_PRIVATE where undefined: a clone is a peer of its original. */
      readonly propagation?: number;
      /** The source must be this character device. */
      readonly device?: { readonly major: number; readonly minor: number };
      /** The source is a path without links: one that has become one by now is not followed. */
      readonly noLinks?: boolean;
      /** The source is a directory that is made where it is missing, through no link. */
      readonly makesSource?: boolean;
      /** The target must be there. */
      readonly mustExist?: boolean;
    }
  | {
      readonly kind: "filesystem";
      readonly type: string;
      readonly parameters: readonly FsParameter[];
      /** A tmpfs with usable device nodes must be the host's; a procfs must be that of the container's namespaces. */
      readonly madeBy: "host" | "init";
      readonly propagation?: number;
      /** Set once every mount is in place: read-only, for a directory that others are mounted in. */
      readonly lateFlags?: number;
      readonly mustExist?: boolean;
      /** Made by the host in what it makes; `sealFlags` are set after them. */
      readonly files?: readonly PlannedFile[];
      readonly sealFlags?: number;
    }
  | {
      /** A file of a mount that is in place by then. */
      readonly kind: "inside";
      readonly source: string;
    }
);

/** A file in the root of a file system that the host makes; ids are the host's. */
export type PlannedFile = {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly content: Uint8Array;
};

/** A node made in the container's /dev, which must be a file system made by the host, or in its root. */
export type DeviceNode = {
  /** Absolute. */
  readonly path: string;
  readonly type: "c" | "b" | "p";
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly mode: number;
  /** As the container sees them. */
  readonly uid: number;
  readonly gid: number;
};

export type SysctlPlan = {
  /** Below /proc/sys, with slashes. */
  readonly path: string;
  readonly value: string;
  readonly optional: boolean;
};

export type RootPlan =
  | {
      readonly kind: "overlay";
      /** Lowest first. */
      readonly layerDirs: readonly string[];
      /** Holds `upper` and `work`. */
      readonly writableDir: string;
    }
  | { readonly kind: "directory"; readonly path: string; readonly ids: MountIds };

/** Everything a start needs, resolved: no field is looked up any more. */
export type StartPlan = {
  readonly process: ProcessPlan;
  readonly namespaces: NamespacePlans;
  /** Host id of the container's root: 0 without a user namespace of its own. */
  readonly idBase: number;
  /** Empty: not set. */
  readonly hostname: string;
  readonly domainname: string;
  readonly root: RootPlan;
  readonly readOnlyRoot: boolean;
  /** MS_* of the root and, with MS_REC, of all below it; undefined: private. */
  readonly rootPropagation: number | undefined;
  /** An empty directory of the host that the root is mounted on, in the container's own namespace. */
  readonly stagingDir: string;
  readonly mounts: readonly PlannedMount[];
  readonly devices: readonly DeviceNode[];
  readonly symlinks: readonly { readonly target: string; readonly path: string }[];
  /** Hidden: files read as empty, directories as empty and read-only. What is missing is passed over. */
  readonly maskedPaths: readonly string[];
  readonly readOnlyPaths: readonly string[];
  readonly sysctls: readonly SysctlPlan[];
  readonly cgroup: CgroupPlan;
  readonly network: {
    readonly hostMessages: readonly { readonly messages: Buffer; readonly patchOffset: number }[];
    readonly initMessages: Buffer;
  };
  /** A small PID 1 that reaps. */
  readonly init: boolean;
  readonly hold: boolean;
};

export type CgroupPlan = {
  /** Directories of the container's own. */
  readonly v1: readonly string[];
  readonly unified: string | undefined;
  readonly writes: readonly CgroupWrite[];
  /** eBPF program for the unified directory, where no v1 controller keeps devices away. */
  readonly deviceFilter: Uint8Array | undefined;
};
