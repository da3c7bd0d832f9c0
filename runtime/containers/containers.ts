import { rm } from "node:fs/promises";
import { cgroupProcesses, oomKills } from "../cgroups/container-cgroup.ts";
import type { ContainerSpec, PortBinding } from "../container-spec.ts";
import { resolveProcess } from "../plan/process-config.ts";
import { signalNumber } from "../plan/signals.ts";
import type {
  ContainerStatus,
  ExitListener,
  ExitRecord,
  HandOver,
  ObserveOptions,
  OwnerOptions,
  ProcessSession,
  Reload,
  Runtime,
  StopOptions,
} from "../runtime.ts";
import { adoptContainers } from "./adopt-containers.ts";
import type { ContainerContext } from "./container-context.ts";
import { cgroupPathOf, pathsOf } from "./container-context.ts";
import { ContainerCopies } from "./container-copy.ts";
import { containerStatus } from "./container-status.ts";
import { ContainerWatch, killOrphan, removeCgroupSoon } from "./container-watch.ts";
import { createContainer } from "./create-container.ts";
import { ExitNews } from "./exit-news.ts";
import { Freezer, type IsAsRead } from "./freezer.ts";
import { handOver } from "./hand-over.ts";
import { HostsFiles } from "./hosts-files.ts";
import { type InventoryEntry, withoutRun } from "./inventory.ts";
import { launchOnce } from "./lost-start.ts";
import { publishPorts } from "./publish-ports.ts";
import { reloadContainer } from "./reload-container.ts";
import { type SpecWithSecrets, withSecrets } from "./secret-mounts.ts";
import { settledWithin } from "./settled-within.ts";
import { type PreparedStart, prepareStart } from "./start-container.ts";
import { type Begun, releaseToOwner } from "./start-owned.ts";
import { Turns } from "./turns.ts";

/**
 * The life of containers: created, started, ended, removed. Calls for one container are carried out one after the
 * other; an intent is in the inventory before the kernel is touched.
 */
export class Containers {
  readonly #context: ContainerContext;
  readonly #watch: ContainerWatch;
  readonly hosts: HostsFiles;
  readonly #freezer: Freezer;
  readonly #turns = new Turns();
  readonly copies: ContainerCopies;
  readonly #news: ExitNews;

  constructor(context: ContainerContext) {
    this.#context = context;
    this.hosts = new HostsFiles(context);
    this.#freezer = new Freezer(context);
    this.#news = new ExitNews(context.inventory);
    this.copies = new ContainerCopies(context, this.#turns, (id) => this.isRunning(id));
    this.#watch = new ContainerWatch(context, (id, exit) => this.#ended(id, exit));
  }

  /** Finds again what an earlier agent of this boot left, and what an earlier boot left on disk. */
  async adopt(): Promise<void> {
    await this.copies.endLeftovers();
    await adoptContainers(this.#context, {
      watch: (id) => this.#watch.watch(id),
      publish: (spec) => publishPorts(this.#context, spec),
      remove: (id) => this.remove(id),
      ended: (id, exit) => this.#ended(id, exit),
    });
  }

  onExit(listener: ExitListener): void {
    this.#news.listen(listener);
  }

  create(spec: ContainerSpec, options?: { readonly heldBack?: boolean }): Promise<void> {
    return this.#turns.take(spec.id, async () => {
      if (options?.heldBack === true) this.#context.heldBack.add(spec.id);
      await createContainer(this.#context, spec).catch((error) => this.#undoCreate(spec.id, error));
      this.hosts.write(spec);
      this.hosts.changed(spec);
    });
  }

  start(id: string): Promise<{ readonly pid: number; readonly startedAtMs: number }> {
    return this.#turns.take(id, () => this.#start(id));
  }

  run(id: string, owner: OwnerOptions): ReturnType<Runtime["runContainer"]> {
    return this.#turns.take(id, async () => {
      const { startedAtMs, session } = await this.#start(id, owner);
      if (session === undefined) throw new Error("cannot run what is running: attach to it");
      return { session, startedAtMs };
    });
  }

  handOver(pair: HandOver): Promise<void> {
    const { to } = pair;
    return this.#turns.take(to, () =>
      handOver(this.#context, this.hosts, pair, this.isRunning(to)),
    );
  }

  stop(id: string, options: StopOptions): Promise<ExitRecord> {
    return this.#turns.take(id, () => this.#stop(id, options));
  }

  async signal(id: string, signal: string): Promise<void> {
    await this.#runningClient(id).signal(signalNumber(signal), false);
  }

  reload(id: string, reload: Reload): Promise<void> {
    return this.#turns.take(id, () =>
      reloadContainer(this.#context, this.#runningClient(id), id, reload),
    );
  }

  freeze(id: string, frozen: boolean): void {
    this.#runningClient(id);
    this.#freezer.set(id, frozen);
  }

  remove(id: string): Promise<void> {
    return this.#turns.take(id, () => this.#remove(id));
  }

  processes(id: string): readonly number[] {
    this.#context.inventory.require(id);
    return cgroupProcesses(this.#context.cgroups, cgroupPathOf(this.#context, id));
  }

  /** Resolves when the container is not running any more; at once when it is not. */
  async ended(id: string): Promise<void> {
    await this.#watch.ended(id);
  }

  isRunning(id: string): boolean {
    return this.#watch.client(id) !== undefined;
  }

  /** `published`: container id -> ports that the kernel sends to it. */
  statuses(
    published: ReadonlyMap<string, readonly PortBinding[]>,
    options: ObserveOptions,
    isAsRead?: IsAsRead,
  ): readonly ContainerStatus[] {
    return [...this.#context.inventory.all()]
      .filter(({ phase }) => phase !== "creating")
      .map((entry) =>
        containerStatus(this.#context, entry, {
          isRunning: this.isRunning(entry.spec.id),
          isFrozen: () => this.#freezer.holds(entry.spec.id, options, isAsRead),
          publishedPorts: published.get(entry.spec.id) ?? [],
        }),
      );
  }

  async close(): Promise<void> {
    await this.copies.close();
    this.#watch.close();
  }

  /** What cannot be removed either is seen as dead, so that it is tried again. */
  async #undoCreate(id: string, error: unknown): Promise<never> {
    await this.#remove(id).catch((cause: unknown) => {
      this.#context.log.warn("half-made container stays for now", { id, error: messageOf(cause) });
    });
    throw error;
  }

  async #start(id: string, owner?: OwnerOptions): Promise<Begun> {
    const { inventory, networks, heldBack } = this.#context;
    const entry = inventory.require(id);
    if (this.isRunning(id) && entry.process !== undefined) {
      const { process, startedAtMs = 0 } = entry;
      return { pid: process.pid, startedAtMs, session: undefined };
    }
    const { spec } = entry;
    await this.copies.end(id);
    this.#freezer.forget(id);
    const oomKillsBefore = oomKills(this.#context.cgroups, cgroupPathOf(this.#context, id));
    try {
      const start = await withSecrets(this.#context, spec);
      const wayIsFree = networks.conflicts(id, heldBack.has(id) ? [] : spec.ports);
      // Compiled while the kernel answers.
      const { request, runAs } = this.#prepare(start, wayIsFree, owner !== undefined);
      await wayIsFree;
      const starting = { ...withoutRun(entry), phase: "starting", oomKillsBefore, runAs } as const;
      inventory.put(starting);
      const started = await launchOnce(this.#context, id, request);
      let session: ProcessSession | undefined;
      if (owner !== undefined) {
        // Whoever comes after this process ends what is held.
        inventory.put({ ...starting, ...started });
        session = await releaseToOwner(this.#context, id, owner);
      }
      const startedAtMs = this.#context.now();
      inventory.put({ ...starting, ...started, phase: "running", startedAtMs });
      await Promise.all([this.#watch.watch(id), publishPorts(this.#context, spec)]);
      return { pid: started.process.pid, startedAtMs, session };
    } catch (error) {
      await this.#undoStart(entry);
      throw new Error(`cannot start ${spec.name}: ${messageOf(error)}`, { cause: error });
    }
  }

  #prepare(start: SpecWithSecrets, meanwhile: Promise<void>, hold: boolean): PreparedStart {
    try {
      this.hosts.write(start.spec);
      return prepareStart(this.#context, start, { hold });
    } catch (error) {
      meanwhile.catch(() => {});
      throw error;
    }
  }

  async #undoStart(entry: InventoryEntry): Promise<void> {
    const { id } = entry.spec;
    await this.#context.networks.withdraw(id);
    const client = this.#watch.client(id);
    if (client === undefined) await killOrphan(this.#context, id);
    else {
      await client.signal(signalNumber("SIGKILL"), true).catch(() => {});
      await this.#watch.ended(id);
    }
    this.#context.inventory.put({
      ...entry,
      phase: entry.phase === "running" ? "exited" : entry.phase,
    });
    await removeCgroupSoon(this.#context, id);
  }

  async #stop(id: string, options: StopOptions): Promise<ExitRecord> {
    const entry = this.#context.inventory.require(id);
    const client = this.#watch.client(id);
    const ended = this.#watch.ended(id);
    if (client === undefined || ended === undefined) {
      return entry.exit ?? { oomKilled: false, finishedAtMs: this.#context.now() };
    }
    await this.#context.networks.withdraw(id);
    const signal = signalNumber(options.signal ?? this.#stopSignal(entry.spec));
    await client.signal(signal, false).catch(() => {});
    // A frozen process cannot act on a signal.
    if (this.#freezer.holds(id)) this.#freezer.set(id, false);
    const isEnded = await settledWithin(ended, options.graceMs, options.abort);
    if (!isEnded) await client.signal(signalNumber("SIGKILL"), true).catch(() => {});
    return ended;
  }

  async #remove(id: string): Promise<void> {
    const { inventory, networks, idLeases, launcher } = this.#context;
    const entry = inventory.get(id);
    if (entry === undefined) return;
    if (this.isRunning(id)) {
      throw new Error(`cannot remove ${entry.spec.name} because it is running: stop it first`);
    }
    await this.copies.end(id);
    this.#freezer.forget(id);
    inventory.put({ ...entry, phase: "removing" });
    const paths = pathsOf(this.#context, id);
    await networks.withdraw(id);
    await removeCgroupSoon(this.#context, id);
    await launcher.removeTree(paths.dir);
    await rm(paths.runDir, { recursive: true, force: true });
    networks.releaseAddresses(id);
    idLeases.release(id);
    inventory.delete(id);
    this.#context.heldBack.delete(id);
    this.hosts.forget(id);
    this.hosts.changed(entry.spec);
  }

  #stopSignal(spec: ContainerSpec): string {
    if (spec.stopSignal !== undefined) return spec.stopSignal;
    const image = this.#context.images.find(spec.image.digest);
    return image === undefined ? "SIGTERM" : resolveProcess(spec, image.config).stopSignal;
  }

  #runningClient(id: string) {
    const { spec } = this.#context.inventory.require(id);
    const client = this.#watch.client(id);
    if (client === undefined)
      throw new Error(`cannot reach ${spec.name} because it is not running: start it first`);
    return client;
  }

  #ended(id: string, exit: ExitRecord): void {
    const entry = this.#context.inventory.get(id);
    if (entry === undefined) return;
    this.#context.inventory.put({ ...entry, phase: "exited", exit, isExitTold: false });
    this.#context.networks.withdraw(id).catch((error: unknown) => {
      this.#context.log.warn("ports were not withdrawn", { id, error: messageOf(error) });
    });
    this.#news.tell(id, exit);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
