import { existsSync } from "node:fs";
import { detectCgroups } from "../cgroups/cgroup-host.ts";
import { isFrozen } from "../cgroups/container-cgroup.ts";
import { isAlive } from "../helper/process-identity.ts";
import type { OciState } from "./hooks.ts";
import type { OciRecord, StateDirectory } from "./state-directory.ts";

/** What the kernel says of a container now. */
export function statusOf(record: OciRecord, directory: StateDirectory): OciState["status"] {
  if (record.process === undefined) return "creating";
  if (!isAlive(record.process)) return "stopped";
  if (existsSync(directory.startSocket)) return "created";
  return isFrozen(detectCgroups(), record.cgroupPath) ? "paused" : "running";
}

/** The state as the specification prints it. */
export function stateOf(record: OciRecord, status: OciState["status"]): OciState {
  return {
    ociVersion: record.ociVersion,
    id: record.id,
    status,
    pid: status === "stopped" ? 0 : (record.process?.pid ?? 0),
    bundle: record.bundle,
    annotations: record.annotations,
  };
}

/** Throws unless the container is in one of these states. Callers look for the words "not running". */
export function requireStatus(
  record: OciRecord,
  directory: StateDirectory,
  expected: readonly OciState["status"][],
  verb: string,
): OciState["status"] {
  const status = statusOf(record, directory);
  if (expected.includes(status)) return status;
  if (status === "paused") {
    throw new Error(`cannot ${verb} a paused container: resume ${record.id} first`);
  }
  const words = expected.includes("running") && status === "stopped" ? "not running" : status;
  throw new Error(
    `cannot ${verb} ${record.id}: the container is ${words}${status === "stopped" ? " (stopped)" : ""}, ${expected.join(" or ")} is expected`,
  );
}
