import { readFileSync } from "node:fs";
import { type WatchedFiles, watchedFiles } from "../helper/launcher.ts";
import type { ContainerStatus, KernelDrift, ObserveOptions } from "../runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import { FileMarks } from "./file-marks.ts";
import { hasCapability } from "./has-capability.ts";
import {
  addressDrift,
  mountDrift,
  type NamespaceState,
  type NamespaceTexts,
  readNamespaceState,
} from "./namespace-drift.ts";

type Seen = {
  readonly pid: number;
  /** As it was at its first look, and so at its start, or when its files were replaced last. */
  readonly state: NamespaceState;
  readonly reloadedAtMs: number | undefined;
  readonly lookedAtMs: number;
  readonly nextAtMs: number;
  readonly drift: readonly KernelDrift[];
  readonly files: WatchedFiles;
};

/**
 * What was changed by hand in the namespaces of running containers: mounts, addresses and routes that are gone, were
 * changed or added. Each is looked into once an interval, not all in one round, because that means to read three files of procfs.
 * What a container may do there itself is its own affair.
 */
export class InnerDrift {
  readonly #seen = new Map<string, Seen>();
  readonly #marks: FileMarks;
  #lent: ReadonlySet<string> = new Set();

  constructor(context: Pick<ContainerContext, "launcher" | "log">) {
    this.#marks = new FileMarks(context);
  }

  /** To be called before `observe`: what need not be read again is found out for all of them at once. */
  async look(
    statuses: readonly ContainerStatus[],
    nowMs: number,
    { drift }: ObserveOptions,
  ): Promise<void> {
    const groups = new Map<string, WatchedFiles>();
    for (const status of drift === "everything" ? [] : statuses) {
      const seen = this.#seen.get(status.spec.id);
      if (seen?.pid === status.pid && seen !== undefined && this.#isDue(status, nowMs))
        groups.set(status.spec.id, seen.files);
    }
    await this.#marks.look(groups);
  }

  /** Reported again until the container is another one, or as it was. */
  observe(
    statuses: readonly ContainerStatus[],
    nowMs: number,
    { drift }: ObserveOptions,
  ): readonly KernelDrift[] {
    const running = statuses.filter(({ state }) => state === "running");
    const ids = new Set(running.map(({ spec }) => spec.id));
    this.#lent = lentNetworks(running);
    for (const id of this.#seen.keys()) {
      if (ids.has(id)) continue;
      this.#seen.delete(id);
      this.#marks.forget(id);
    }
    return running.flatMap((status) => this.#look(status, nowMs, drift));
  }

  #look(
    status: ContainerStatus,
    nowMs: number,
    asked: ObserveOptions["drift"],
  ): readonly KernelDrift[] {
    const { spec, pid, reloadedAtMs } = status;
    const before = this.#seen.get(spec.id);
    // Its mounts are being replaced.
    if (pid === undefined || status.reload !== undefined) return [];
    const isSame = before?.pid === pid && before.reloadedAtMs === reloadedAtMs;
    const seen = isSame ? before : undefined;
    const isKnown = asked === "known" || (asked !== "everything" && !this.#isDue(status, nowMs));
    if (seen !== undefined && isKnown) return seen.drift;
    const nextAtMs = nowMs + (seen === undefined ? Math.random() : 1) * intervalMs;
    if (seen !== undefined && this.#marks.isUnchanged(spec.id)) {
      this.#seen.set(spec.id, { ...seen, lookedAtMs: nowMs, nextAtMs });
      return seen.drift;
    }
    const text = readNamespaces(status, this.#lent.has(spec.name));
    // It is ending.
    if (text.mountinfo === "") return [];
    const state = seen?.state ?? readNamespaceState(text);
    const drift = [
      ...mountDrift(spec, state.mounts, text),
      ...addressDrift(status, state.routes, text),
    ];
    const files =
      seen?.files ??
      watchedFiles(namespaceFiles(status).map((path) => ({ covers: "content", path })));
    this.#seen.set(spec.id, {
      pid,
      state,
      reloadedAtMs,
      lookedAtMs: nowMs,
      nextAtMs,
      drift,
      files,
    });
    this.#marks.wasRead(spec.id);
    return drift;
  }

  #isDue({ spec, pid, state }: ContainerStatus, nowMs: number): boolean {
    if (state !== "running" || pid === undefined) return false;
    const seen = this.#seen.get(spec.id);
    // A clock that was set back is no reason to stop looking.
    return seen?.pid !== pid || nowMs >= seen.nextAtMs || nowMs < seen.lookedAtMs;
  }
}

/** With the ten seconds after which the host is looked at when nothing happens: half a minute at most. */
const intervalMs = 20_000;

/** Of procfs, in the order of `NamespaceTexts`; those of a network only where it is the container's own. */
function namespaceFiles({ spec, addresses, pid }: ContainerStatus): readonly string[] {
  const isOwn = (spec.namespaces?.network ?? "private") === "private";
  const hasNetwork =
    isOwn && Object.keys(addresses).length > 0 && !hasCapability(spec, "NET_ADMIN");
  const files = ["mountinfo", ...(hasNetwork ? ["net/fib_trie", "net/route"] : [])];
  return files.map((file) => `/proc/${pid}/${file}`);
}

function readNamespaces(status: ContainerStatus, isLent: boolean): NamespaceTexts {
  const [mountinfo = "", ...network] = namespaceFiles(status).map(readProc);
  const [addresses = "", routes = ""] = isLent ? [] : network;
  return { mountinfo, addresses, routes };
}

/** Names of containers in whose network another may change what it likes. */
function lentNetworks(running: readonly ContainerStatus[]): ReadonlySet<string> {
  return new Set(
    running.flatMap(({ spec }) => {
      const network = spec.namespaces?.network;
      const isGuest = typeof network === "object" && hasCapability(spec, "NET_ADMIN");
      return isGuest ? [network.container] : [];
    }),
  );
}

function readProc(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // The process has ended meanwhile.
    return "";
  }
}
