/** Capability names and bits (capabilities(7), `linux/capability.h`). */

/** In the order of their numbers: the index is the bit. */
const names = [
  "CHOWN",
  "DAC_OVERRIDE",
  "DAC_READ_SEARCH",
  "FOWNER",
  "FSETID",
  "KILL",
  "SETGID",
  "SETUID",
  "SETPCAP",
  "LINUX_IMMUTABLE",
  "NET_BIND_SERVICE",
  "NET_BROADCAST",
  "NET_ADMIN",
  "NET_RAW",
  "IPC_LOCK",
  "IPC_OWNER",
  "SYS_MODULE",
  "SYS_RAWIO",
  "SYS_CHROOT",
  "SYS_PTRACE",
  "SYS_PACCT",
  "SYS_ADMIN",
  "SYS_BOOT",
  "SYS_NICE",
  "SYS_RESOURCE",
  "SYS_TIME",
  "SYS_TTY_CONFIG",
  "MKNOD",
  "LEASE",
  "AUDIT_WRITE",
  "AUDIT_CONTROL",
  "SETFCAP",
  "MAC_OVERRIDE",
  "MAC_ADMIN",
  "SYSLOG",
  "WAKE_ALARM",
  "BLOCK_SUSPEND",
  "AUDIT_READ",
  "PERFMON",
  "BPF",
  "CHECKPOINT_RESTORE",
] as const;

/** Without the `CAP_` prefix. */
export type CapabilityName = (typeof names)[number];

/** Name without `CAP_` -> number of its bit. */
export const capabilityBits: ReadonlyMap<string, number> = new Map(
  names.map((name, bit) => [name, bit]),
);

/** In the order of their numbers. */
export const everyCapability: readonly CapabilityName[] = names;

/** What a container gets unless its spec says otherwise: Podman's eleven. */
export const defaultCapabilities: readonly CapabilityName[] = [
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "NET_BIND_SERVICE",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
];

/** Takes `CAP_CHOWN`, `CHOWN` and `chown`; throws on a name that no capability has. */
export function capabilityName(text: string): CapabilityName {
  const upper = text.toUpperCase().replace(/^CAP_/, "");
  const name = names.find((known) => known === upper);
  if (name === undefined) {
    throw new Error(
      `cannot use capability ${JSON.stringify(text)} because it does not exist: a name of capabilities(7) such as CHOWN is expected`,
    );
  }
  return name;
}

/** The bit mask of these capabilities, as `capset` takes it. Names as in `capabilityName`. */
export function capabilityMask(capabilities: readonly string[]): bigint {
  let mask = 0n;
  for (const text of capabilities) {
    mask |= 1n << BigInt(names.indexOf(capabilityName(text)));
  }
  return mask;
}
