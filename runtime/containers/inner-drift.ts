import { readFileSync } from "node:fs";
import type { ContainerSpec } from "../container-spec.ts";
import { type WatchedFiles, watchedFiles } from "../helper/launcher.ts";
import type { ContainerStatus, KernelDrift, ObserveOptions } from "../runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import { FileMarks } from "./file-marks.ts";
import { hasCapability } from "./has-capability.ts";

type Seen = {
  readonly pid: number;
  /** Mount points of its first look, and so of its start. */
  readonly mounts: ReadonlySet<string>;
  readonly lookedAtMs: number;
  readonly nextAtMs: number;
  readonly drift: readonly KernelDrift[];
  readonly files: WatchedFiles;
};

/**
 * What was changed by hand in the namespaces of running containers: mounts that are gone, addresses and interfaces that
 * are. Each is looked into once an interval, not all in one round, because that means to read three files of procfs.
 * What a container may do there itself is its own affair.
 */
export class InnerDrift {
  readonly #seen = new Map<string, Seen>();
  readonly #marks: FileMarks;

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
    const { spec, pid } = status;
    if (pid === undefined) return [];
    const before = this.#seen.get(spec.id);
    const seen = before?.pid === pid ? before : undefined;
    const isKnown = asked === "known" || (asked !== "everything" && !this.#isDue(status, nowMs));
    if (seen !== undefined && isKnown) return seen.drift;
    const nextAtMs = nowMs + (seen === undefined ? Math.random() : 1) * intervalMs;
    if (seen !== undefined && this.#marks.isUnchanged(spec.id)) {
      this.#seen.set(spec.id, { ...seen, lookedAtMs: nowMs, nextAtMs });
      return seen.drift;
    }
    const text = readNamespaces(status);
    // It is ending.
    if (text.mountinfo === "") return [];
    const found = readMounts(text.mountinfo);
    const mounts = seen?.mounts ?? new Set(found.keys());
    const drift = [...mountDrift(spec, mounts, found), ...addressDrift(status, text)];
    const files =
      seen?.files ??
      watchedFiles(namespaceFiles(status).map((path) => ({ covers: "content", path })));
    this.#seen.set(spec.id, { pid, mounts, lookedAtMs: nowMs, nextAtMs, drift, files });
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

type NamespaceTexts = {
  readonly mountinfo: string;
  readonly addresses: string;
  readonly routes: string;
};

/** Of procfs, in the order of `NamespaceTexts`; those of a network only where it is the container's own. */
function namespaceFiles({ spec, addresses, pid }: ContainerStatus): readonly string[] {
  const isOwn = (spec.namespaces?.network ?? "private") === "private";
  const hasNetwork =
    isOwn && Object.keys(addresses).length > 0 && !hasCapability(spec, "NET_ADMIN");
  const files = ["mountinfo", ...(hasNetwork ? ["net/fib_trie", "net/route"] : [])];
  return files.map((file) => `/proc/${pid}/${file}`);
}

/** Empty where the process has ended, and of a network that is not its own. */
function readNamespaces(status: ContainerStatus): NamespaceTexts {
  const [mountinfo = "", addresses = "", routes = ""] = namespaceFiles(status).map(readProc);
  return { mountinfo, addresses, routes };
}

/** proc_pid_mountinfo(5): mount point -> whether what it shows was deleted. */
function readMounts(text: string): ReadonlyMap<string, boolean> {
  const mounts = new Map<string, boolean>();
  for (const line of text.split("\n")) {
    const [, , , root = "", point] = line.split(" ", 5);
    if (point !== undefined) mounts.set(point, root.endsWith("//deleted"));
  }
  return mounts;
}

function mountDrift(
  spec: ContainerSpec,
  known: ReadonlySet<string>,
  found: ReadonlyMap<string, boolean>,
): readonly KernelDrift[] {
  if (hasCapability(spec, "SYS_ADMIN")) return [];
  // What the host mounts and unmounts there comes and goes.
  const propagated = spec.mounts
    .filter((mount) => mount.type === "bind" && (mount.propagation ?? "private") !== "private")
    .map(({ target }) => `${target}/`);
  // A file of the host that is bound is often replaced by renaming, and a subpath is the volume's users' affair.
  const whole = spec.mounts.flatMap((mount) =>
    mount.type === "volume" && mount.subpath === undefined ? [mount.target] : [],
  );
  const lasting = new Set([...whole, "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]);
  return [...known].flatMap((point): KernelDrift[] => {
    const isDeleted = found.get(point);
    if (isDeleted === false || (isDeleted && !lasting.has(point))) return [];
    if (propagated.some((place) => point.startsWith(place))) return [];
    const from = isDeleted === undefined ? "absent" : "deleted on the host";
    const { id: container, name: target } = spec;
    return [
      { kind: "mount-missing", container, target, field: `mount ${point}`, from, to: "there" },
    ];
  });
}

function addressDrift(
  { spec, addresses }: ContainerStatus,
  text: NamespaceTexts,
): readonly KernelDrift[] {
  const local = text.addresses;
  if (local === "") return [];
  const wanted = Object.entries(addresses);
  const routes = text.routes.split("\n").slice(1);
  const interfaces = new Set(routes.map((line) => line.split("\t", 1)[0]).filter(Boolean));
  const report = (field: string, from: string, to: string): KernelDrift => {
    const { id: container, name: target } = spec;
    return { kind: "address-missing", container, target, field, from, to };
  };
  const missing = wanted
    .filter(([, address]) => !local.includes(`|-- ${address}\n`))
    .map(([network, address]) => report(`networks.${network}`, "absent", address));
  if (missing.length > 0 || interfaces.size >= wanted.length) return missing;
  return [report("interfaces with a route", `${interfaces.size}`, `${wanted.length}`)];
}

function readProc(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // The process has ended meanwhile.
    return "";
  }
}
