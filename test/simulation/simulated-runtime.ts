import { PassThrough } from "node:stream";
import type { Clock } from "../../agent/clock.ts";
import type { ContainerSpec } from "../../runtime/container-spec.ts";
import type { Image, ImageStore } from "../../runtime/images/image-store.ts";
import type {
  ContainerState,
  ContainerStatus,
  ExitListener,
  ExitRecord,
  HandOver,
  KernelDrift,
  NetworkSpec,
  NetworkStatus,
  ProcessSession,
  Reload,
  Runtime,
  StopOptions,
  VolumeSpec,
} from "../../runtime/runtime.ts";

/** What each image frees on the simulated disk. */
export const simulatedImageBytes = 100;

type Simulated = {
  spec: ContainerSpec;
  readonly createdAtMs: number;
  state: ContainerState;
  startedAtMs?: number;
  exit?: ExitRecord;
  /** Of the run that goes on, or was the last. */
  seen?: ContainerSpec["mounts"];
  reload?: "pending" | "failed";
  reloadedAtMs?: number;
};

/**
 * A runtime without a kernel, for the loop's tests: containers are records, an image is a name. `calls` lists what
 * was done, in order; `fail` makes the next matching call reject.
 */
export class SimulatedRuntime implements Runtime {
  readonly calls: string[] = [];
  readonly images: ImageStore;
  readonly cgroups = { v1: new Map(), unified: undefined, unifiedControllers: new Set<string>() };
  readonly imagesHere = new Map<string, Image>();
  /** Digest -> when it was last said to be in use. */
  readonly imagesUsed = new Map<string, number>();
  readonly disk = { totalBytes: 1000, freeBytes: 1000 };
  /** References that a pull would find. */
  readonly registry = new Set<string>();
  drift: KernelDrift[] = [];
  /** Comes before a change takes effect: may take its time, or reject. */
  disturb: (call: string, container?: { readonly spec: ContainerSpec }) => Promise<void> =
    async () => {};
  /** Comes after every change. */
  changed: () => void = () => {};
  /** How an end is told to those who listen: not at all, once, or more often. */
  tellEnd: (tell: () => void) => void = (tell) => tell();
  /** What asks is gone: it has no say in what comes after an answer. */
  isCallerDead: () => boolean = () => false;
  /** How long a pull takes. */
  pullMs = 0;
  /** Exit code of the healthcheck in a container, by container name. */
  readonly probes = new Map<string, number>();
  /** Container name -> processes of it that ran out of memory, while its program goes on. */
  readonly oomKills = new Map<string, number>();
  /** Container name -> how long its program takes to end after the stop signal. */
  readonly stopMs = new Map<string, number>();
  /** Ids of containers that others do not find. */
  readonly heldBack = new Set<string>();
  /** Container id -> open connections through published ports. */
  readonly connections = new Map<string, number>();
  /** Container name -> exit code of a program that ends before its start is known. */
  readonly endsAtOnce = new Map<string, number>();
  /** What a program does besides, by what it was started with. */
  behaves: (spec: ContainerSpec) => "good" | "ends" | "sick" = () => "good";
  readonly #containers = new Map<string, Simulated>();
  readonly #networks = new Map<string, NetworkSpec>();
  readonly #volumes = new Map<string, VolumeSpec>();
  readonly #listeners: ExitListener[] = [];
  readonly #failures: { readonly call: string; readonly error: Error }[] = [];
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.images = this.#imageStore();
  }

  fail(call: string, message: string, cause?: Error): void {
    this.#failures.push({ call, error: new Error(message, { cause }) });
  }

  /** The container's program ends by itself. */
  exit(name: string, exit: Omit<ExitRecord, "finishedAtMs">): void {
    this.#end(this.#byName(name), exit);
  }

  #end(container: Simulated, exit: Omit<ExitRecord, "finishedAtMs">): void {
    const record = { ...exit, finishedAtMs: this.#clock.now() };
    container.state = "exited";
    container.exit = record;
    this.changed();
    this.tellEnd(() => {
      for (const listener of this.#listeners) listener(container.spec.id, record);
    });
  }

  status(name: string): ContainerStatus | undefined {
    const found = [...this.#containers.values()].find(({ spec }) => spec.name === name);
    return found === undefined ? undefined : this.#status(found);
  }

  /** What the container's processes find mounted. */
  seenBy(id: string): ContainerSpec["mounts"] {
    return this.#require(id).seen ?? [];
  }

  statuses(): ContainerStatus[] {
    return [...this.#containers.values()].map((container) => this.#status(container));
  }

  /** Like a power cut: records stay on disk, nothing runs and exits are unknown. */
  loseEverythingRunning(): void {
    this.heldBack.clear();
    for (const container of this.#containers.values()) {
      if (container.state !== "running") continue;
      // Whoever looks after what is not ours starts it again.
      if (Object.keys(container.spec.labels).length === 0) continue;
      container.state = "exited";
      container.exit = { oomKilled: false, finishedAtMs: this.#clock.now() };
    }
  }

  forgetListeners(): void {
    this.#listeners.length = 0;
  }

  get networkNames(): string[] {
    return [...this.#networks.keys()];
  }

  get volumeNames(): string[] {
    return [...this.#volumes.keys()];
  }

  async features() {
    return [];
  }

  async observe() {
    return {
      containers: [...this.#containers.values()].map((container) => this.#status(container)),
      networks: [...this.#networks.values()].map(networkStatus),
      volumes: [...this.#volumes.values()].map((spec) => ({
        ...spec,
        path: `/volumes/${spec.name}`,
        createdAtMs: 0,
        usedBy: [],
      })),
      drift: this.drift,
    };
  }

  async createContainer(spec: ContainerSpec, options: { readonly heldBack?: boolean } = {}) {
    await this.#disturbed(`create ${spec.name}`, { spec });
    if (options.heldBack === true) this.heldBack.add(spec.id);
    this.#containers.set(spec.id, { spec, createdAtMs: this.#clock.now(), state: "created" });
  }

  async startContainer(id: string) {
    const container = this.#require(id);
    await this.#disturbed(`start ${container.spec.name}`, container);
    container.state = "running";
    container.startedAtMs = this.#clock.now();
    delete container.exit;
    delete container.reload;
    container.seen = container.spec.mounts;
    this.changed();
    const { startedAtMs } = container;
    const ends = this.behaves(container.spec) === "ends" ? 1 : undefined;
    const code = this.endsAtOnce.get(container.spec.name) ?? ends;
    if (code !== undefined) {
      this.#end(container, { code, oomKilled: false });
      // Whoever listens to exits is told while the starter still waits.
      await new Promise(setImmediate);
    }
    return { pid: 1, startedAtMs };
  }

  async handOver({ from, to }: HandOver) {
    await this.#disturbed(`hand-over ${this.#require(to).spec.name}`);
    if (from !== undefined && this.#containers.has(from)) this.heldBack.add(from);
    this.heldBack.delete(to);
    this.changed();
  }

  async openConnections(id: string) {
    return this.connections.get(id) ?? 0;
  }

  async stopContainer(id: string, { abort }: StopOptions) {
    const container = this.#require(id);
    const { name } = container.spec;
    await this.#disturbed(`stop ${name}`);
    if (!isAlive(container)) {
      return container.exit ?? { oomKilled: false, finishedAtMs: this.#clock.now() };
    }
    const takesMs = this.stopMs.get(name);
    if (takesMs !== undefined) await this.#clock.sleep(takesMs, abort);
    this.#end(container, { signal: 15, oomKilled: false });
    return container.exit ?? { oomKilled: false, finishedAtMs: this.#clock.now() };
  }

  async signalContainer(id: string, signal: string) {
    const container = this.#require(id);
    this.#call(`signal ${container.spec.name} ${signal}`);
    if (signal === "SIGKILL") this.#end(container, { signal: 9, oomKilled: false });
  }

  async reloadContainer(id: string, { mounts, labels, signal }: Reload) {
    const container = this.#require(id);
    const { spec } = container;
    const files = new Map(mounts.map((mount) => [mount.target, mount]));
    const now = spec.mounts.map((mount) => files.get(mount.target) ?? mount);
    container.spec = { ...spec, labels, mounts: now };
    container.reload = "pending";
    try {
      await this.#disturbed(`reload ${spec.name} ${signal}`, container);
      if (this.isCallerDead()) return;
    } catch (error) {
      if (!this.isCallerDead()) container.reload = "failed";
      throw error;
    }
    delete container.reload;
    container.seen = (container.seen ?? []).map((mount) => files.get(mount.target) ?? mount);
    container.reloadedAtMs = this.#clock.now();
    this.changed();
  }

  async pauseContainer(id: string) {
    this.#require(id).state = "paused";
  }

  async unpauseContainer(id: string) {
    this.#require(id).state = "running";
  }

  async *exportContainer() {}

  async commitContainer(id: string) {
    return this.addImage(`committed-${this.#require(id).spec.name}`);
  }

  async removeContainer(id: string) {
    const container = this.#containers.get(id);
    if (container === undefined) return;
    await this.#disturbed(`remove ${container.spec.name}`);
    if (isAlive(container)) {
      throw new Error(`cannot remove ${container.spec.name} because it is running: stop it first`);
    }
    this.#containers.delete(id);
  }

  async changes(): Promise<[]> {
    return [];
  }

  copy(id: string): Promise<ProcessSession> {
    return this.exec(id);
  }

  dial(id: string): Promise<ProcessSession> {
    return this.exec(id);
  }

  async exec(id: string): Promise<ProcessSession> {
    const { spec } = this.#require(id);
    const code = this.probes.get(spec.name) ?? (this.behaves(spec) === "sick" ? 1 : 0);
    const stdout = new PassThrough();
    const stderr = new PassThrough();
    stdout.end();
    stderr.end();
    return {
      pid: 2,
      stdin: new PassThrough(),
      stdout,
      stderr,
      exit: Promise.resolve({ code, oomKilled: false, finishedAtMs: this.#clock.now() }),
      resize() {},
      signal() {},
      close() {},
    };
  }

  attach(id: string): Promise<ProcessSession> {
    return this.exec(id);
  }

  async runContainer(id: string) {
    const { startedAtMs } = await this.startContainer(id);
    return { session: await this.exec(id), startedAtMs };
  }

  async *logs() {}

  async outOfMemoryKills(id: string) {
    return this.oomKills.get(this.#require(id).spec.name) ?? 0;
  }

  async usage() {
    return {
      memoryBytes: undefined,
      cpuPeriods: undefined,
      cpuPeriodsThrottled: undefined,
      cpuStalledUs: undefined,
      memoryStalledUs: undefined,
      ioStalledUs: undefined,
    };
  }

  async processes() {
    return [];
  }

  async ensureNetwork(spec: NetworkSpec) {
    await this.#disturbed(`network ${spec.name}`);
    this.#networks.set(spec.name, spec);
    return networkStatus(spec);
  }

  async removeNetwork(name: string) {
    this.#call(`remove-network ${name}`);
    const users = [...this.#containers.values()].filter(({ spec }) =>
      spec.networks.some(({ network }) => network === name),
    );
    if (users.length > 0) throw new Error(`cannot remove ${name} because containers are on it`);
    this.#networks.delete(name);
  }

  async ensureVolume(spec: VolumeSpec) {
    await this.#disturbed(`volume ${spec.name}`);
    this.#volumes.set(spec.name, spec);
    return { ...spec, path: "", createdAtMs: 0, usedBy: [] };
  }

  async removeVolume(name: string) {
    this.#volumes.delete(name);
  }

  async repair(drift: readonly KernelDrift[]) {
    this.#call(`repair ${drift.map(({ kind }) => kind).join(" ")}`);
    this.drift = [];
  }

  onExit(listener: ExitListener): void {
    this.#listeners.push(listener);
  }

  async notify() {}

  async close() {}

  async destroy() {
    this.#containers.clear();
    this.#networks.clear();
  }

  async #disturbed(call: string, container?: { readonly spec: ContainerSpec }): Promise<void> {
    this.#call(call);
    await this.disturb(call, container);
  }

  #call(call: string): void {
    this.calls.push(call);
    const index = this.#failures.findIndex((failure) => failure.call === call);
    const [failure] = index < 0 ? [] : this.#failures.splice(index, 1);
    if (failure !== undefined) throw failure.error;
  }

  #require(id: string): Simulated {
    const container = this.#containers.get(id);
    if (container === undefined) throw new Error(`no container ${id}`);
    return container;
  }

  /** The one that runs, where a successor stands beside it. */
  #byName(name: string): Simulated {
    const all = [...this.#containers.values()].filter(({ spec }) => spec.name === name);
    const found = all.find(({ state }) => state === "running") ?? all[0];
    if (found === undefined) throw new Error(`no container ${name}`);
    return found;
  }

  #status(simulated: Simulated): ContainerStatus {
    const { spec, createdAtMs, state, startedAtMs, exit, reload, reloadedAtMs } = simulated;
    return {
      spec,
      state,
      createdAtMs,
      addresses: {},
      publishedPorts: state === "running" && !this.heldBack.has(spec.id) ? spec.ports : [],
      ...(this.heldBack.has(spec.id) ? { isHeldBack: true } : {}),
      cgroupPath: `/sim/${spec.id}`,
      hostInterfaces: {},
      logPath: "",
      ...(isAlive(simulated) && reload !== undefined ? { reload } : {}),
      ...(reloadedAtMs === undefined ? {} : { reloadedAtMs }),
      ...(startedAtMs === undefined ? {} : { startedAtMs }),
      ...(exit === undefined ? {} : { exit }),
    };
  }

  #imageStore(): ImageStore {
    const find = (reference: string) =>
      this.imagesHere.get(reference) ??
      [...this.imagesHere.values()].find(({ digest }) => digest === reference);
    const unreachable = async (): Promise<never> => {
      throw new Error("cannot reach a registry because a simulation has none");
    };
    return {
      registries: {
        logIn: unreachable,
        logOut: unreachable,
        tags: unreachable,
        delete: unreachable,
        copy: unreachable,
      },
      push: unreachable,
      find,
      list: () => [...this.imagesHere.values()],
      resolve: async (reference) => `sha256:${reference}`,
      pull: async (reference) => {
        await this.#disturbed(`pull ${reference}`);
        if (this.pullMs > 0) await this.#clock.sleep(this.pullMs, new AbortController().signal);
        if (!this.registry.has(reference)) {
          throw new Error(`cannot pull ${reference} because the registry does not know it`);
        }
        return this.addImage(reference);
      },
      load: async () => [],
      importRoot: async (path) => this.addImage(path),
      commit: async (base) => this.addImage(`${base}-committed`),
      save: async function* () {},
      saveLayout: async () => {},
      tag() {},
      describe: async () => undefined,
      touch: (digests) => {
        for (const digest of digests) this.imagesUsed.set(digest, this.#clock.now());
      },
      disk: async () => this.disk,
      remove: async (reference) => {
        const image = find(reference);
        this.imagesHere.delete(reference);
        return { digest: image?.digest ?? "", references: [reference], isRemoved: true, bytes: 1 };
      },
      collectGarbage: async (needed, options = {}) => {
        const { dryRun = false, unusedSinceMs = Infinity, bytesWanted = Infinity } = options;
        const images: { digest: string; references: string[]; isRemoved: true; bytes: number }[] =
          [];
        const going = [...this.imagesHere]
          .filter(([, { digest }]) => !needed().has(digest))
          .map(([reference, { digest, pulledAtMs }]) => ({
            reference,
            digest,
            usedAtMs: Math.max(pulledAtMs, this.imagesUsed.get(digest) ?? 0),
          }))
          .filter(({ usedAtMs }) => usedAtMs < unusedSinceMs)
          .toSorted((a, b) => a.usedAtMs - b.usedAtMs);
        for (const { reference, digest } of going) {
          if (images.length * simulatedImageBytes >= bytesWanted) break;
          images.push({
            digest,
            references: [reference],
            isRemoved: true,
            bytes: simulatedImageBytes,
          });
          if (dryRun) continue;
          this.imagesHere.delete(reference);
          this.disk.freeBytes += simulatedImageBytes;
        }
        return { images, bytes: images.length * simulatedImageBytes };
      },
    };
  }

  addImage(reference: string, digest = `sha256:${reference}`): Image {
    const image: Image = {
      digest,
      references: [reference],
      config: {
        env: [],
        entrypoint: [],
        command: [],
        user: "",
        workingDir: "",
        stopSignal: "",
        exposedPorts: [],
        volumes: [],
        labels: {},
      },
      architecture: "amd64",
      os: "linux",
      layerDirs: [],
      layerDigests: [],
      sizeBytes: 0,
      pulledAtMs: this.#clock.now(),
    };
    this.imagesHere.set(reference, image);
    return image;
  }
}

function isAlive({ state }: Simulated): boolean {
  return state === "running" || state === "paused";
}

function networkStatus(spec: NetworkSpec): NetworkStatus {
  return { ...spec, bridge: `br-${spec.name}`, subnet: "10.0.0.0/24", gateway: "10.0.0.1" };
}
