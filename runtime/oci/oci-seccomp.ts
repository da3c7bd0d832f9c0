import { arch, release } from "node:os";
import { seccompFlag } from "../program/kernel-flags.ts";
import { compileSeccomp } from "../seccomp/compile-seccomp.ts";
import { SeccompProfile } from "../seccomp/profile.ts";
import { around, type OciState } from "./hooks.ts";
import type { OciConfig } from "./oci-config.ts";

type Seccomp = NonNullable<OciConfig["linux"]["seccomp"]>;

/** Who is asked about the calls of a filter, and what it is told: cut where the pid of the new process goes. */
export type SeccompAgent = { readonly path: string; readonly parts: readonly string[] };

/** SECCOMP_FILTER_FLAG_* of seccomp(2). A new thread group needs no TSYNC. */
const filterFlags: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: seccompFlag.log,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: seccompFlag.specAllow,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: seccompFlag.waitKillable,
};

/** `linux.seccomp` as the kernel takes it. Throws, naming the field, where it asks for what cannot be. */
export function compileFilter(seccomp: Seccomp): {
  readonly program: Uint8Array;
  readonly flags: number;
} {
  const profile = readProfile(seccomp);
  const flags = (profile.flags ?? []).map((name) => {
    const flag = filterFlags[name];
    if (flag === undefined) throw new Error(`cannot use linux.seccomp.flags: ${name} is unknown`);
    return flag;
  });
  const asks = isAsking(profile);
  const program = compileSeccomp({
    profile,
    architecture: arch() === "arm64" ? "aarch64" : "x86_64",
    capabilities: [],
    kernel: release(),
    refusesYounger: true,
  });
  const all = flags.reduce((some, flag) => some | flag, asks ? seccompFlag.newListener : 0);
  // Without a listener there is nobody to be waited for, and the kernel refuses the flag.
  return { program, flags: asks ? all : all & ~seccompFlag.waitKillable };
}

/**
 * The agent that a filter with SCMP_ACT_NOTIFY needs; undefined for any other. It gets a container process state of the
 * specification, with `state` for the container, where a pid of 0 is that of the new process.
 */
export function planSeccompAgent(seccomp: Seccomp, state: OciState): SeccompAgent | undefined {
  const { listenerPath: path, listenerMetadata: metadata } = seccomp;
  if (!isAsking(readProfile(seccomp))) return undefined;
  if (typeof path !== "string" || !path.startsWith("/")) {
    throw new Error(
      "cannot filter system calls because SCMP_ACT_NOTIFY needs somebody to ask: the absolute path of a socket is expected in linux.seccomp.listenerPath",
    );
  }
  const { ociVersion } = state;
  const told = { ociVersion, fds: ["seccompFd"], pid: 0, metadata: textOf(metadata), state };
  return { path, parts: around(told) };
}

function textOf(metadata: unknown): string {
  if (metadata == null) return "";
  if (typeof metadata === "string") return metadata;
  throw new Error("cannot use linux.seccomp.listenerMetadata: a string is expected");
}

function readProfile(seccomp: Seccomp): SeccompProfile {
  const { listenerPath: _path, listenerMetadata: _metadata, ...rest } = seccomp;
  const parsed = SeccompProfile.safeParse(splitRules(rest));
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(
    (issue) => `linux.seccomp.${issue.path.map(String).join(".")}: ${issue.message}`,
  );
  throw new Error(`cannot filter system calls because ${problems.join("; ")}`);
}

/** Nobody could be asked about the calls by which the listener is handed over, nor be told of all calls there are. */
function isAsking(profile: SeccompProfile): boolean {
  if (profile.defaultAction === "SCMP_ACT_NOTIFY") {
    throw new Error(
      "cannot filter system calls because SCMP_ACT_NOTIFY cannot be used as the default action: name the calls",
    );
  }
  const asked = (profile.syscalls ?? []).filter(({ action }) => action === "SCMP_ACT_NOTIFY");
  if (asked.some(({ name, names }) => name === "write" || names?.includes("write"))) {
    throw new Error(
      "cannot filter system calls because SCMP_ACT_NOTIFY cannot be used for the write syscall: the listener is handed over by it",
    );
  }
  return asked.length > 0;
}

/**
 * Several conditions on one argument are alternatives, as libseccomp has them for every runtime that hands them over;
 * conditions on different arguments hold together.
 */
function splitRules(seccomp: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { syscalls } = seccomp;
  if (!Array.isArray(syscalls)) return seccomp;
  return {
    ...seccomp,
    syscalls: syscalls.flatMap((rule: unknown) => {
      if (typeof rule !== "object" || rule === null || !("args" in rule)) return [rule];
      const { args } = rule;
      if (!Array.isArray(args)) return [rule];
      const indexes = args.map((condition: { readonly index?: unknown }) => condition.index);
      if (new Set(indexes).size === indexes.length) return [rule];
      return args.map((condition: unknown) => ({ ...rule, args: [condition] }));
    }),
  };
}
