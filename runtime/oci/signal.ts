import { setTimeout as sleep } from "node:timers/promises";
import { detectCgroups } from "../cgroups/cgroup-host.ts";
import { setFrozen } from "../cgroups/container-cgroup.ts";
import { isAlive } from "../helper/process-identity.ts";
import { signalNumber } from "../plan/signals.ts";
import { cgroupPids, removeCgroup } from "./cgroup-path.ts";
import { requireStatus, stateOf, statusOf } from "./container-status.ts";
import { runHook } from "./hooks.ts";
import { OciConfig } from "./oci-config.ts";
import { readJson } from "./read-json.ts";
import type { OciRecord, StateDirectory } from "./state-directory.ts";

const gonePollMs = 5;
const goneTimeoutMs = 10_000;

/** Sends a signal to the first process, or to every process of the container. */
export function killContainer(
  directory: StateDirectory,
  signal: string,
  { all }: { readonly all: boolean },
): void {
  // 0 asks whether it can be signalled.
  const number = /^0+$/.test(signal) ? 0 : signalNumber(signal);
  const record = directory.read();
  if (all && statusOf(record, directory) === "stopped") {
    killAll(record, number);
    return;
  }
  requireStatus(record, directory, ["running", "created", "paused"], "kill");
  if (all) killAll(record, number);
  else if (record.process !== undefined) sendTo(record.process.pid, number);
}

/** Stops or continues every process. */
export function freezeContainer(directory: StateDirectory, frozen: boolean): void {
  const record = directory.read();
  const expected = frozen ? (["running", "created"] as const) : (["paused"] as const);
  requireStatus(record, directory, expected, frozen ? "pause" : "resume");
  setFrozen(detectCgroups(), record.cgroupPath, frozen);
}

/**
 * Forgets a stopped container and removes what was made for it. `force`: it is killed first. `warn` is told of hooks that
 * fail: nothing waits for them.
 */
export async function deleteContainer(
  directory: StateDirectory,
  { force, warn }: { readonly force: boolean; readonly warn: (text: string) => void },
): Promise<void> {
  const record = directory.read();
  if (!force) requireStatus(record, directory, ["stopped"], "delete");
  await killEverything(record);
  if (record.sharesCgroup !== true || cgroupPids(record.cgroup).length === 0) {
    await removeOwnCgroup(record);
  }
  const { hooks } = readJson(directory.configFile, OciConfig, "the configuration");
  directory.remove();
  for (const hook of hooks?.poststop ?? []) {
    try {
      runHook(hook, stateOf(record, "stopped"));
    } catch (error) {
      warn(error instanceof Error ? error.message : String(error));
    }
  }
}

function killAll(record: OciRecord, number: number): void {
  if (record.sharesCgroup === true) {
    if (record.process !== undefined) sendTo(record.process.pid, number);
    return;
  }
  for (const pid of cgroupPids(record.cgroup)) sendTo(pid, number);
}

/** Processes that have just been killed may be counted for a moment more. Rejects when it stays. */
export async function removeOwnCgroup(record: OciRecord): Promise<void> {
  await untilGone(() => removeCgroup(record.cgroup), `remove the cgroup ${record.cgroupPath}`);
}

/** Ends every process of a container. A frozen process is woken, so that it can end. */
export async function killEverything(record: OciRecord): Promise<void> {
  const { process: init } = record;
  if (init !== undefined && isAlive(init)) sendTo(init.pid, signalNumber("KILL"));
  const isOver = () => {
    const pids = record.sharesCgroup === true ? [] : cgroupPids(record.cgroup);
    for (const pid of pids) sendTo(pid, signalNumber("KILL"));
    if (pids.length > 0) thaw(record);
    return pids.length === 0 && (init === undefined || !isAlive(init));
  };
  await untilGone(isOver, "end every process of the container");
}

function thaw(record: OciRecord): void {
  try {
    setFrozen(detectCgroups(), record.cgroupPath, false);
  } catch {
    // It is gone already, and with it what was frozen.
  }
}

async function untilGone(isGone: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + goneTimeoutMs;
  while (!isGone()) {
    if (performance.now() > deadline) {
      throw new Error(`cannot ${what} within ${goneTimeoutMs / 1000} s: try again`);
    }
    await sleep(gonePollMs);
  }
}

function sendTo(pid: number, number: number): void {
  try {
    process.kill(pid, number);
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
