import { readFileSync } from "node:fs";
import type { ProcessSession } from "../../runtime/runtime.ts";
import type { ActualContainer } from "../observe.ts";
import type { ContainerEnd, TopEntry } from "./control.ts";
import type { ControlContext } from "./control-context.ts";
import { resolveContainer } from "./control-names.ts";

const waitStepMs = 200;
const commandCharactersMax = 4096;

export async function attachTo(
  { core }: ControlContext,
  name: string,
  options: { readonly stdin: boolean },
): Promise<{ readonly session: ProcessSession; readonly tty: boolean }> {
  const container = resolveContainer(await core.view.observe(), name);
  requireState(container, ["running", "paused"], "attach to");
  const session = await core.runtime.attach(container.id, options);
  return { session, tty: container.status.spec.tty };
}

/** A paused container counts as running: the loop leaves it as it is. */
export async function pauseByHand(
  { core }: ControlContext,
  name: string,
  paused: boolean,
): Promise<void> {
  const container = resolveContainer(await core.view.observe(), name);
  const verb = paused ? "pause" : "unpause";
  requireState(container, [paused ? "running" : "paused"], verb);
  if (paused) await core.runtime.pauseContainer(container.id);
  else await core.runtime.unpauseContainer(container.id);
  const message = `${verb} of ${container.name} by hand`;
  const { app } = container;
  core.events.record({
    kind: `container.${verb}-by-hand`,
    app,
    target: container.name,
    message,
  });
}

/** Looks again every 200 ms: a container that is made anew meanwhile counts as ended. */
export async function waitForEnd(
  { core }: ControlContext,
  name: string,
  abort: AbortSignal,
): Promise<ContainerEnd> {
  const { id, status } = resolveContainer(await core.view.observe(), name);
  const { startedAtMs } = status;
  for (;;) {
    abort.throwIfAborted();
    const { containers } = await core.runtime.observe();
    const now = containers.find(({ spec }) => spec.id === id);
    const isSameRun = now !== undefined && now.startedAtMs === startedAtMs;
    if (!isSameRun) return { code: null, signal: null };
    if (now.state !== "running" && now.state !== "paused") {
      return { code: now.exit?.code ?? null, signal: now.exit?.signal ?? null };
    }
    await core.clock.sleep(waitStepMs, abort);
  }
}

/** Read from the host's /proc by pid: nothing of the container's own file system is opened. */
export async function listProcesses(
  { core }: ControlContext,
  name: string,
): Promise<readonly TopEntry[]> {
  const container = resolveContainer(await core.view.observe(), name);
  requireState(container, ["running", "paused"], "list the processes of");
  const pids = await core.runtime.processes(container.id);
  return pids.flatMap((pid) => readProcess(pid) ?? []).toSorted((a, b) => a.pid - b.pid);
}

/** Undefined for a process that has ended meanwhile (proc(5) for the fields). */
function readProcess(pid: number): TopEntry | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, in brackets, may hold spaces and brackets.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(fields[11]) + Number(fields[12]);
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    const command = words.join(" ").trim().slice(0, commandCharactersMax);
    return {
      pid,
      containerPid: Number(statusField(status, "NSpid").split("\t").at(-1)),
      uid: insideId(Number(statusField(status, "Uid").split("\t")[1]), pid),
      state: fields[0] ?? "?",
      memoryBytes: Number.parseInt(statusField(status, "VmRSS") || "0", 10) * 1024,
      cpuMs: ticks * clockTickMs,
      command: command === "" ? `[${statusField(status, "Name")}]` : command,
    };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** USER_HZ is 100 on every architecture that berth runs on (times(2)). */
const clockTickMs = 10;

function statusField(status: string, name: string): string {
  const line = status.split("\n").find((text) => text.startsWith(`${name}:`));
  return line?.slice(name.length + 1).trim() ?? "";
}

function insideId(outside: number, pid: number): number | null {
  for (const line of readFileSync(`/proc/${pid}/uid_map`, "utf8").trim().split("\n")) {
    const [inside = 0, first = 0, count = 0] = line.trim().split(/\s+/).map(Number);
    if (outside >= first && outside < first + count) return inside + outside - first;
  }
  return null;
}

function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && ["ENOENT", "ESRCH"].includes(`${error.code}`);
}

function requireState(
  container: ActualContainer,
  states: readonly string[],
  purpose: string,
): void {
  const { state } = container.status;
  if (states.includes(state)) return;
  throw new Error(
    `cannot ${purpose} ${container.name} because it is ${state}: ${states.join(" or ")} is expected`,
  );
}
