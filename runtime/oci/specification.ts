import { readFileSync } from "node:fs";
import { capabilityBits } from "../plan/capabilities.ts";
import { hasApparmor, hasSelinux } from "../plan/plan-label.ts";
import { memoryPolicyFlags, memoryPolicyModes } from "./oci-placement.ts";

/** The version of the runtime specification that is followed. */
export const ociVersion = "1.3.0";

const defaultCapabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

const standardMounts = [
  ["/proc", "proc", "proc", []],
  ["/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]],
  [
    "/dev/pts",
    "devpts",
    "devpts",
    ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  ],
  ["/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]],
  ["/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]],
  ["/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"]],
  ["/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"]],
] as const;

/** A configuration to begin with: a shell on a terminal, in namespaces of its own. */
export function exampleConfig(): unknown {
  return {
    ociVersion,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: {
        bounding: defaultCapabilities,
        effective: defaultCapabilities,
        permitted: defaultCapabilities,
      },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "berth",
    mounts: standardMounts.map(([destination, type, source, options]) => ({
      destination,
      type,
      source,
      options,
    })),
    linux: {
      resources: { devices: [{ allow: false, access: "rwm" }] },
      namespaces: ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })),
      maskedPaths: [
        "/proc/acpi",
        "/proc/asound",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/proc/sched_debug",
        "/sys/firmware",
        "/proc/scsi",
      ],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}

/** What this runtime can do, in the form of `features.md` of the specification. */
export function runtimeFeatures(version: string): unknown {
  return {
    ociVersionMin: "1.0.0",
    ociVersionMax: ociVersion,
    hooks: [
      "prestart",
      "createRuntime",
      "createContainer",
      "startContainer",
      "poststart",
      "poststop",
    ],
    mountOptions: mountOptionNames,
    linux: {
      namespaces: ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
      capabilities: [...capabilityBits.keys()].map((name) => `CAP_${name}`),
      cgroup: { v1: true, v2: true, systemd: false, systemdUser: false, rdma: false },
      seccomp: {
        enabled: true,
        actions: [
          "SCMP_ACT_ALLOW",
          "SCMP_ACT_ERRNO",
          "SCMP_ACT_KILL",
          "SCMP_ACT_KILL_PROCESS",
          "SCMP_ACT_KILL_THREAD",
          "SCMP_ACT_LOG",
          "SCMP_ACT_NOTIFY",
          "SCMP_ACT_TRACE",
          "SCMP_ACT_TRAP",
        ],
        operators: [
          "SCMP_CMP_EQ",
          "SCMP_CMP_GE",
          "SCMP_CMP_GT",
          "SCMP_CMP_LE",
          "SCMP_CMP_LT",
          "SCMP_CMP_MASKED_EQ",
          "SCMP_CMP_NE",
        ],
        archs: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_X86_64"],
        knownFlags: [
          "SECCOMP_FILTER_FLAG_LOG",
          "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
          "SECCOMP_FILTER_FLAG_TSYNC",
          "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
        ],
      },
      apparmor: { enabled: hasApparmor() },
      selinux: { enabled: hasSelinux() },
      intelRdt: { enabled: false },
      memoryPolicy: { modes: memoryPolicyModes, flags: memoryPolicyFlags },
      netDevices: { enabled: true },
      mountExtensions: { idmap: { enabled: true } },
    },
    annotations: { "berth.version": version, "berth.kernel": kernelRelease() },
  };
}

const mountOptionNames = [
  "atime bind defaults dev diratime exec idmap noatime nodev nodiratime noexec",
  "norelatime nostrictatime nosuid nosymfollow private rbind relatime ridmap ro",
  "rprivate rro rrw rshared rslave runbindable rw shared slave strictatime suid",
  "symfollow tmpcopyup unbindable",
].flatMap((names) => names.split(" "));

function kernelRelease(): string {
  return readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
}
