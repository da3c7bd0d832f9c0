import { mkdtempSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { helperPath } from "../helper/helper-path.ts";
import type { ProcessIdentity } from "../helper/launcher.ts";
import { namespaceFlag } from "../program/kernel-flags.ts";
import { requireStatus, stateOf } from "./container-status.ts";
import { execCgroup } from "./exec-cgroup.ts";
import { launch } from "./launch.ts";
import { OciConfig, type OciProcess } from "./oci-config.ts";
import { planProcess } from "./oci-process.ts";
import { compileOciExec } from "./oci-program.ts";
import { planSeccompAgent } from "./oci-seccomp.ts";
import { countPreserved } from "./preserved-descriptors.ts";
import { readJson } from "./read-json.ts";
import type { StateDirectory } from "./state-directory.ts";

export type ExecRequest = {
  /** Makes the process out of the container's first one. */
  readonly process: (own: OciProcess) => OciProcess;
  readonly pidFile?: string;
  readonly consoleSocket?: string;
  readonly preservedFds: number;
  /** The process is the caller's to reap. */
  readonly detach: boolean;
  /** In a paused container the process begins when that is resumed; else it is refused. */
  readonly ignorePaused: boolean;
  /** Below the container's, as `execCgroup` reads them. */
  readonly cgroups: readonly string[];
};

/** A process that runs, and where its supervisor is asked for its end. */
export type Executed = {
  readonly process: ProcessIdentity;
  readonly supervisorDir: string | undefined;
  readonly terminal: boolean;
};

/** Runs a further process in a running container. Rejects with a HelperError when it cannot be executed. */
export async function execInOciContainer(
  directory: StateDirectory,
  request: ExecRequest,
): Promise<Executed> {
  const record = directory.read();
  const paused = request.ignorePaused ? (["paused"] as const) : [];
  const status = requireStatus(record, directory, ["running", "created", ...paused], "exec in");
  const config = readJson(directory.configFile, OciConfig, "the configuration");
  if (config.process == null || record.process === undefined) {
    throw new Error(`cannot exec in ${record.id}: the container has no process`);
  }
  const joins = namespacesOf(record.process.pid);
  const plan = planProcess(request.process(config.process), config.linux, {
    ownUserNamespace: (joins & namespaceFlag.user) !== 0,
  });
  const { seccomp } = config.linux;
  const agent = seccomp == null ? undefined : planSeccompAgent(seccomp, stateOf(record, status));
  const staysHere = !request.detach && request.consoleSocket === undefined;
  if (plan.terminal !== undefined && !staysHere && request.consoleSocket === undefined) {
    throw new Error(
      "cannot exec with a terminal because nobody takes it: --console-socket is expected",
    );
  }
  const holds = plan.terminal !== undefined && staysHere;
  const supervisorDir = request.detach ? undefined : mkdtempSync("/run/berth-oci-");
  try {
    const started = await launch({
      helperPath,
      containerId: record.id,
      program: compileOciExec(
        plan,
        {
          process: record.process,
          joins,
          cgroup: execCgroup(record, request.cgroups),
        },
        {
          holds,
          seccompAgent: agent,
          ...(request.consoleSocket === undefined
            ? {}
            : { consoleSocket: resolve(request.consoleSocket) }),
        },
      ),
      holds,
      terminal: plan.terminal !== undefined,
      preservedFds: countPreserved(request.preservedFds),
      supervisor:
        supervisorDir === undefined
          ? undefined
          : { socketPath: `${supervisorDir}/s`, exitPath: `${supervisorDir}/exit` },
    });
    if (request.pidFile !== undefined) writePid(request.pidFile, started);
    return { process: started, supervisorDir, terminal: plan.terminal !== undefined };
  } catch (error) {
    if (supervisorDir !== undefined) rmSync(supervisorDir, { recursive: true, force: true });
    throw error;
  }
}

/** A process that its caller will not find is not left behind. */
function writePid(path: string, { pid }: ProcessIdentity): void {
  try {
    writeFileSync(path, `${pid}`);
  } catch (cause) {
    process.kill(pid, "SIGKILL");
    throw new Error(`cannot write the pid to ${path}: the process was ended`, { cause });
  }
}

const files = [
  ["mnt", namespaceFlag.mount],
  ["net", namespaceFlag.network],
  ["ipc", namespaceFlag.ipc],
  ["uts", namespaceFlag.uts],
  ["pid", namespaceFlag.pid],
  ["cgroup", namespaceFlag.cgroup],
  ["time", namespaceFlag.time],
  ["user", namespaceFlag.user],
] as const;

/** CLONE_NEW* flags of the namespaces in which a process is and this one is not. */
function namespacesOf(pid: number): number {
  return files
    .filter(
      ([name]) => readlinkSync(`/proc/${pid}/ns/${name}`) !== readlinkSync(`/proc/self/ns/${name}`),
    )
    .reduce((flags, [, flag]) => flags | flag, 0);
}
