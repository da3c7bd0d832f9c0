import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type CgroupHost, detectCgroups } from "../cgroups/cgroup-host.ts";
import { isFrozen } from "../cgroups/container-cgroup.ts";
import { helperPath } from "../helper/helper-path.ts";
import { cgroupPath, cgroupPids, dirsOf, makeCgroup } from "./cgroup-path.ts";
import { type HookPlans, type OciState, planHooks } from "./hooks.ts";
import { launch } from "./launch.ts";
import { planNetDevices, returnNetDevices } from "./net-devices.ts";
import { OciConfig, type OciProcess } from "./oci-config.ts";
import { writeDeviceRules } from "./oci-devices.ts";
import { type OciPlan, planOci } from "./oci-plan.ts";
import { compileOciContainer } from "./oci-program.ts";
import { resourceWrites } from "./oci-resources.ts";
import { planSeccompAgent, type SeccompAgent } from "./oci-seccomp.ts";
import { countPreserved, listenEnvironment } from "./preserved-descriptors.ts";
import { readJson } from "./read-json.ts";
import { killEverything, removeOwnCgroup } from "./signal.ts";
import { type OciRecord, StateDirectory } from "./state-directory.ts";

export type CreateRequest = {
  readonly root: string;
  readonly id: string;
  readonly bundle: string;
  /** `config.json` in the bundle where undefined. */
  readonly configFile?: string;
  readonly pidFile?: string;
  readonly consoleSocket?: string;
  readonly preservedFds: number;
  /** Told what may not be meant. */
  readonly warn: (text: string) => void;
};

/** A container that was made, and what its maker has to give back. */
export type Created = {
  readonly directory: StateDirectory;
  readonly record: OciRecord;
  readonly config: OciConfig;
  /** Where the supervisor of one that is not left to the caller listens. */
  readonly supervisorDir: string | undefined;
};

/**
 * Makes a container whose first process waits for its start. Everything is checked before anything is made, and undone
 * when it fails. `stays`: its supervisor stays until the end; the process does not wait then, but runs, unless its
 * terminal is to be joined: `joinTerminal` releases it.
 */
export async function createContainer(
  request: CreateRequest,
  { stays }: { readonly stays: boolean },
): Promise<Created> {
  const directory = new StateDirectory(request.root, request.id);
  const bundle = resolve(request.bundle);
  const configFile = resolve(bundle, request.configFile ?? "config.json");
  const config = readJson(configFile, OciConfig, "the configuration");
  const process = requireProcess(config, request, stays);
  const host = detectCgroups();
  const path = cgroupPath(config.linux.cgroupsPath, request.id);
  const made = planOci(config, process, {
    bundle,
    stagingDir: directory.stagingDir,
    cgroups: host,
    cgroupPath: path,
    netDevices: await planNetDevices(config),
  });
  const sharesCgroup = isInUse(host, path, request.warn);
  const record = newRecord(config, {
    id: request.id,
    bundle,
    rootfs: rootOf(made),
    host,
    path,
    sharesCgroup,
  });
  const state: OciState = {
    ociVersion: record.ociVersion,
    id: record.id,
    status: "creating",
    pid: 0,
    bundle,
    ...(config.annotations == null ? {} : { annotations: config.annotations }),
  };
  const { seccomp } = config.linux;
  const agent = seccomp == null ? undefined : planSeccompAgent(seccomp, state);
  directory.make(configFile);
  const supervisorDir = stays ? mkdtempSync("/run/berth-oci-") : undefined;
  let full = record;
  try {
    directory.write(record);
    prepareCgroup(config, host, path);
    const hooks = planHooks(config, state);
    const started = await launchInit(request, directory, { made, hooks, agent, supervisorDir });
    full = { ...record, process: started };
    try {
      directory.write(full);
      if (request.pidFile !== undefined) writeFileSync(request.pidFile, `${started.pid}`);
    } catch (error) {
      await returnNetDevices(made.netDevices, started, request.warn);
      throw error;
    }
    return { directory, record: full, config, supervisorDir };
  } catch (error) {
    await undo(directory, full, { supervisorDir, warn: request.warn });
    throw error;
  }
}

function requireProcess(
  { process }: OciConfig,
  request: CreateRequest,
  stays: boolean,
): OciProcess {
  if (process == null) throw new Error("cannot create the container: process is expected");
  const { entries } = listenEnvironment();
  const wantsSocket = process.terminal === true && !stays;
  if (wantsSocket && request.consoleSocket === undefined) {
    throw new Error(
      "cannot create the container because process.terminal is true and nobody takes the terminal: --console-socket is expected",
    );
  }
  if (process.terminal !== true && request.consoleSocket !== undefined) {
    throw new Error(
      "cannot create the container because --console-socket is given and process.terminal is not true: leave one out",
    );
  }
  return entries.length === 0 ? process : { ...process, env: [...(process.env ?? []), ...entries] };
}

function rootOf({ plan }: OciPlan): string {
  return plan.root.kind === "directory" ? plan.root.path : "";
}

function newRecord(
  config: OciConfig,
  place: {
    readonly id: string;
    readonly bundle: string;
    readonly rootfs: string;
    readonly host: CgroupHost;
    readonly path: string;
    readonly sharesCgroup: boolean;
  },
): OciRecord {
  return {
    ociVersion: config.ociVersion,
    id: place.id,
    bundle: place.bundle,
    rootfs: place.rootfs,
    created: new Date().toISOString(),
    annotations: config.annotations ?? {},
    cgroupPath: place.path,
    cgroup: dirsOf(place.host, place.path),
    ...(place.sharesCgroup ? { sharesCgroup: true } : {}),
  };
}

/** Tells whether processes of others are in the container's cgroup. Throws where none could run in it. */
function isInUse(host: CgroupHost, path: string, warn: (text: string) => void): boolean {
  if (
    existsSync(`${host.v1.get("freezer") ?? host.unified ?? ""}${path}`) &&
    isFrozen(host, path)
  ) {
    throw new Error(
      `cannot create the container because the cgroup ${path} is frozen (container's cgroup unexpectedly frozen): thaw it, or name another in linux.cgroupsPath`,
    );
  }
  const others = cgroupPids(dirsOf(host, path)).length;
  if (others === 0) return false;
  warn(
    `container's cgroup is not empty: ${others} processes of others are in ${path}, and share its limits`,
  );
  return true;
}

function prepareCgroup(config: OciConfig, host: CgroupHost, path: string): void {
  const { resources } = config.linux;
  makeCgroup(host, path);
  if (resources == null) return;
  for (const write of resourceWrites(resources, { host, path })) writeLimit(write);
  writeDeviceRules(host, path, resources.devices ?? []);
}

/** Throws naming the file and the value that the kernel did not take. */
export function writeLimit(write: {
  readonly path: string;
  readonly value: string;
  readonly optional: boolean;
}): void {
  try {
    writeFileSync(write.path, write.value);
  } catch (cause) {
    if (write.optional) return;
    throw new Error(`cannot write ${write.value} to ${write.path}: ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function launchInit(
  request: CreateRequest,
  directory: StateDirectory,
  parts: {
    readonly made: OciPlan;
    readonly hooks: HookPlans;
    readonly agent: SeccompAgent | undefined;
    readonly supervisorDir: string | undefined;
  },
) {
  const { made, hooks, agent, supervisorDir } = parts;
  const stays = supervisorDir !== undefined;
  // Who joins the terminal must be there before anything is written to it.
  const joins =
    stays && made.plan.process.terminal !== undefined && request.consoleSocket === undefined;
  const program = compileOciContainer(made, hooks, {
    ...(stays ? {} : { startSocket: directory.startSocket }),
    ...(request.consoleSocket === undefined
      ? {}
      : { consoleSocket: resolve(request.consoleSocket) }),
    seccompAgent: agent,
    holds: joins,
  });
  return launch({
    helperPath,
    containerId: request.id,
    program,
    holds: !stays || joins,
    terminal: made.plan.process.terminal !== undefined,
    preservedFds: countPreserved(listenEnvironment().count + request.preservedFds),
    supervisor: stays
      ? { socketPath: `${supervisorDir}/s`, exitPath: `${supervisorDir}/exit` }
      : undefined,
  });
}

/** Where the helper failed, the init has been killed by its supervisor. */
async function undo(
  directory: StateDirectory,
  record: OciRecord,
  {
    supervisorDir,
    warn,
  }: { readonly supervisorDir: string | undefined } & Pick<CreateRequest, "warn">,
): Promise<void> {
  try {
    await killEverything(record);
    // What others have there is theirs.
    if (record.sharesCgroup !== true) await removeOwnCgroup(record);
  } catch (error) {
    warn(reasonOf(error));
  }
  directory.remove();
  if (supervisorDir !== undefined) rmSync(supervisorDir, { recursive: true, force: true });
}
