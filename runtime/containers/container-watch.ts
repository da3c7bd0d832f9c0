import { readFileSync } from "node:fs";
import { cgroupProcesses, oomKills, removeCgroup } from "../cgroups/container-cgroup.ts";
import { isAlive } from "../helper/process-identity.ts";
import { SupervisorClient, type SupervisorState } from "../helper/supervisor-client.ts";
import type { ProcessExit } from "../helper/supervisor-socket.ts";
import type { ExitRecord } from "../runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import { cgroupPathOf, pathsOf } from "./container-context.ts";

const cgroupRemoveTries = 50;
const cgroupRemoveDelayMs = 20;

/** Watches running containers through their supervisors and tells of every end exactly once. */
export class ContainerWatch {
  readonly #context: ContainerContext;
  readonly #onExit: (id: string, exit: ExitRecord) => void;
  readonly #clients = new Map<string, SupervisorClient>();
  readonly #ends = new Map<string, Promise<ExitRecord>>();

  constructor(context: ContainerContext, onExit: (id: string, exit: ExitRecord) => void) {
    this.#context = context;
    this.#onExit = onExit;
  }

  /**
   * Connects to the supervisor and watches; false when the container has ended by now, which is told as any other end.
   * Rejects when there is neither a supervisor nor a record of an end.
   */
  async watch(id: string): Promise<SupervisorState | false> {
    const { socket, exitFile } = pathsOf(this.#context, id);
    const connected = await SupervisorClient.connect(socket).catch((error: unknown) => {
      const exit = readExitFile(exitFile);
      if (exit === undefined) throw error;
      this.#onExit(id, recordExit(this.#context, id, exit));
      return undefined;
    });
    if (connected === undefined) return false;
    const { client, state } = connected;
    this.#clients.set(id, client);
    const end = client.ended.then((exit) => this.#settle(id, client, exit));
    this.#ends.set(id, end);
    end.catch((error: unknown) => {
      this.#context.log.error("container's end was not recorded", { id, error: String(error) });
    });
    return state;
  }

  client(id: string): SupervisorClient | undefined {
    return this.#clients.get(id);
  }

  /** Resolves when the end is recorded; undefined when the container is not watched. */
  ended(id: string): Promise<ExitRecord> | undefined {
    return this.#ends.get(id);
  }

  /** Leaves every container running. */
  close(): void {
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    for (const client of clients) client.close();
  }

  async #settle(
    id: string,
    client: SupervisorClient,
    said: ProcessExit | undefined,
  ): Promise<ExitRecord> {
    if (this.#clients.get(id) !== client) return { oomKilled: false, finishedAtMs: 0 };
    const exit = said ?? readExitFile(pathsOf(this.#context, id).exitFile);
    if (exit === undefined) await this.#endOrphan(id);
    const record = recordExit(this.#context, id, exit);
    this.#clients.delete(id);
    this.#ends.delete(id);
    client.close();
    this.#onExit(id, record);
    return record;
  }

  /** The supervisor died before the container: without one nobody reads its output or its end. */
  async #endOrphan(id: string): Promise<void> {
    await killOrphan(this.#context, id);
  }
}

/** Kills what still runs of a container whose supervisor is gone; nothing when the pid belongs to another by now. */
export async function killOrphan(context: ContainerContext, id: string): Promise<void> {
  const identity = context.inventory.get(id)?.process;
  if (identity === undefined || !isAlive(identity)) return;
  const cgroup = cgroupPathOf(context, id);
  // Its pid namespace dies with the first process; the cgroup proves that the pid is this container's.
  if (cgroupProcesses(context.cgroups, cgroup).includes(identity.pid)) {
    process.kill(identity.pid, "SIGKILL");
  }
  for (let tries = 0; tries < cgroupRemoveTries && isAlive(identity); tries += 1) {
    await sleep(cgroupRemoveDelayMs);
  }
}

/** Adds what the cgroup knows to an exit, and removes the cgroup. An unknown exit stays unknown. */
export function recordExit(
  context: ContainerContext,
  id: string,
  exit: ProcessExit | undefined,
): ExitRecord {
  const cgroup = cgroupPathOf(context, id);
  endRest(context, id, cgroup);
  const oomKilled = outOfMemoryKills(context, id) > 0;
  void removeCgroupSoon(context, id);
  return { ...(exit ?? { finishedAtMs: context.now() }), oomKilled };
}

/** Processes that the kernel killed for lack of memory since the container was started last. */
export function outOfMemoryKills(context: ContainerContext, id: string): number {
  const before = context.inventory.get(id)?.oomKillsBefore ?? 0;
  return Math.max(0, oomKills(context.cgroups, cgroupPathOf(context, id)) - before);
}

/** Without a pid namespace of its own, what the first process has started outlives it. */
function endRest(context: ContainerContext, id: string, cgroup: string): void {
  const pid = context.inventory.get(id)?.spec.namespaces?.pid ?? "private";
  if (pid === "private") return;
  for (const other of cgroupProcesses(context.cgroups, cgroup)) {
    try {
      process.kill(other, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
}

/** The record that a supervisor leaves; undefined when it left none. */
function readExitFile(path: string): ProcessExit | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof parsed !== "object" || parsed === null) return undefined;
    const { known, code, signal, finishedAtMs } = parsed as Record<string, unknown>;
    if (typeof finishedAtMs !== "number") return undefined;
    if (known !== true) return { finishedAtMs };
    if (typeof signal === "number" && signal !== 0) return { signal, finishedAtMs };
    return typeof code === "number" ? { code, finishedAtMs } : { finishedAtMs };
  } catch {
    return undefined;
  }
}

/** EBUSY passes once the last process of the cgroup was reaped. A container that runs again keeps its cgroup. */
export async function removeCgroupSoon(context: ContainerContext, id: string): Promise<void> {
  for (let tries = 0; tries < cgroupRemoveTries; tries += 1) {
    const phase = context.inventory.get(id)?.phase;
    if (phase === "starting" || phase === "running") return;
    if (removeCgroup(context.cgroups, cgroupPathOf(context, id))) return;
    await sleep(cgroupRemoveDelayMs);
  }
  context.log.warn("cgroup stays for now", { id });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
