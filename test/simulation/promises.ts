import { specDigestLabel } from "../../agent/container-labels.ts";
import type { ContainerStatus } from "../../runtime/runtime.ts";
import type { SimulatedHost } from "./simulated-host.ts";

const foreign = "f".repeat(64);
const foreignNetwork = "somebody_net";
const foreignVolume = "somebody_data";

/** What holds at every moment of a host's life. The first promise that was broken is kept. */
export class Promises {
  readonly #host: SimulatedHost;
  /** Apps that had a good definition. */
  readonly #good = new Set<string>();
  /** Ids of running containers, in the order in which they were started. */
  readonly #started = new Set<string>();
  #broken: string | undefined;

  constructor(host: SimulatedHost) {
    this.#host = host;
  }

  /** A container, a network and a volume that somebody else made. */
  async addForeign(): Promise<void> {
    const { runtime } = this.#host;
    await runtime.ensureNetwork({ name: foreignNetwork, internal: false, labels: {} });
    await runtime.ensureVolume({ name: foreignVolume, labels: {} });
    await runtime.createContainer({
      id: foreign,
      name: "somebody",
      labels: {},
      image: { reference: "web:1", digest: "sha256:web:1" },
      environment: {},
      mounts: [],
      networks: [],
      ports: [],
      resources: {},
      readOnlyRoot: false,
      init: false,
      tty: false,
      stdinOpen: false,
      log: { fileBytesMax: 1, filesMax: 1 },
    });
    await runtime.startContainer(foreign);
  }

  isForeign({ spec }: ContainerStatus): boolean {
    return spec.id === foreign;
  }

  /** After every change. */
  check(): void {
    const running = this.#host.runtime.statuses().filter(({ state }) => state === "running");
    const ids = new Set(running.map(({ spec }) => spec.id));
    for (const id of this.#started) if (!ids.has(id)) this.#started.delete(id);
    for (const id of ids) this.#started.add(id);
    this.#checkReplicas(running);
    this.#checkPorts(running);
    this.#checkForeign();
    this.#noteLeft();
  }

  /** An app may leave git and come back between two looks at what was good: that went with it. */
  #noteLeft(): void {
    if (this.#host.alive === undefined) return;
    const held = new Set(this.#host.core.enforcement.apps().map(({ app }) => app.name));
    for (const app of this.#good) if (!held.has(app)) this.#good.delete(app);
  }

  /** Before a container is made or started: what is held back is not begun any more. */
  checkBegun(status: Pick<ContainerStatus, "spec"> | undefined): void {
    const { core } = this.#host;
    if (status === undefined || status.spec.id === foreign) return;
    const { name, labels } = status.spec;
    const held = core.enforcement.container(name);
    const app = labels["io.berth.app"] ?? "";
    if (core.enforcement.quarantine(app) === undefined) return;
    if (held?.specDigest === labels[specDigestLabel]) return;
    this.#break(`${name} of a definition that is held back is begun after the verdict`);
  }

  /** While an agent lives: what was good once can be gone back to for as long as git has the app. */
  checkGood(): void {
    const { core } = this.#host;
    const held = new Set(core.enforcement.apps().map(({ app }) => app.name));
    for (const app of this.#good) {
      if (!held.has(app)) this.#good.delete(app);
      else if (core.state.goodDefinitions(app).length === 0) {
        this.#break(`the good definitions of ${app} are lost`);
      }
    }
    for (const app of held) {
      const [newest] = core.state.goodDefinitions(app);
      if (newest === undefined) continue;
      this.#good.add(app);
      for (const digest of Object.values(newest.images)) {
        if (this.#host.runtime.images.find(digest) === undefined) {
          this.#break(`the image ${digest} of the last good definition of ${app} is lost`);
        }
      }
    }
  }

  require(): void {
    if (this.#broken !== undefined) throw new Error(this.#broken);
  }

  #break(how: string): void {
    this.#broken ??= how;
  }

  #checkReplicas(running: readonly ContainerStatus[]): void {
    for (const [name, replicas] of Map.groupBy(running, ({ spec }) => spec.name)) {
      const found = replicas.filter(({ isHeldBack }) => isHeldBack !== true);
      if (found.length > 1) this.#break(`two containers serve as ${name}`);
      // What comes beside another is the later one made, or the later one started: it may be older where the ref went back,
      // and what it comes beside may have been restarted since.
      const order = [...this.#started];
      const byStart = replicas.toSorted(
        (a, b) => order.indexOf(a.spec.id) - order.indexOf(b.spec.id),
      );
      const comesBeside = ([, ...later]: readonly ContainerStatus[]) =>
        later.every(({ spec }) => spec.environment.ORDER === "start-first");
      if (!comesBeside(replicas) && !comesBeside(byStart))
        this.#break(`two containers of ${name} run where one may`);
    }
  }

  #checkPorts(running: readonly ContainerStatus[]): void {
    const owned = running.flatMap(({ publishedPorts }) => publishedPorts);
    const ports = owned.map(({ hostPort }) => hostPort);
    const shared = ports.find((port, index) => ports.indexOf(port) !== index);
    if (shared !== undefined) this.#break(`two containers have port ${shared}`);
  }

  #checkForeign(): void {
    const { runtime } = this.#host;
    const container = runtime.statuses().find(({ spec }) => spec.id === foreign);
    const isThere =
      container?.state === "running" &&
      runtime.networkNames.includes(foreignNetwork) &&
      runtime.volumeNames.includes(foreignVolume);
    if (!isThere) this.#break("something that is not ours was touched");
  }
}
