import { mkdirSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { ContainerSpec } from "../container-spec.ts";
import { SupervisorClient } from "../helper/supervisor-client.ts";
import { hasHostIds } from "../plan/plan-namespaces.ts";
import { signalNumber } from "../plan/signals.ts";
import type { NamespacePlans, PlannedMount, StartPlan } from "../plan/start-plan.ts";
import { compileContainer } from "../program/container-program.ts";
import { mountAttribute } from "../program/kernel-flags.ts";
import { startFlag } from "../protocol.ts";
import type { ProcessSession } from "../runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import { pathsOf, stagingDirOf } from "./container-context.ts";
import { resolveMounts } from "./container-mounts.ts";
import { requireImage } from "./create-container.ts";
import { idsPerContainer } from "./id-leases.ts";

type Resting = {
  readonly dir: string;
  readonly socketPath: string;
  readonly users: Set<ProcessSession>;
};

/**
 * The file systems of containers that do not run, mounted for those who copy: each in namespaces of its own, which a
 * process that is set up like the container's first one and never runs its program keeps. Two mounts of one writable
 * layer are not allowed by overlay, so there is one for all copies, and none any more once the container starts.
 * Calls for one container must come one after the other.
 */
export class RestingContainers {
  readonly #context: ContainerContext;
  readonly #resting = new Map<string, Resting>();

  constructor(context: ContainerContext) {
    this.#context = context;
  }

  /** The socket of its supervisor. */
  async hold(spec: ContainerSpec): Promise<string> {
    const known = this.#resting.get(spec.id);
    if (known !== undefined) return known.socketPath;
    const dir = join(restingDir(this.#context), spec.id.slice(0, 16));
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const socketPath = join(dir, "ctl.sock");
    try {
      await this.#context.launcher.start({
        containerId: spec.id,
        socketPath,
        exitPath: join(dir, "exit.json"),
        logPath: "",
        logFileBytesMax: 0,
        logFilesMax: 1,
        flags: startFlag.hold,
        program: compileContainer(planResting(this.#context, spec)),
      });
    } catch (error) {
      await rm(dir, { recursive: true, force: true });
      throw error;
    }
    this.#resting.set(spec.id, { dir, socketPath, users: new Set() });
    return socketPath;
  }

  /** The session uses what `hold` gave, until `drop`. */
  use(id: string, session: ProcessSession): void {
    this.#resting.get(id)?.users.add(session);
  }

  async drop(id: string, session: ProcessSession): Promise<void> {
    if (this.#resting.get(id)?.users.delete(session) === true) await this.endUnused(id);
  }

  async endUnused(id: string): Promise<void> {
    if (this.#resting.get(id)?.users.size === 0) await this.end(id);
  }

  /** Ends the copies that are under way, and what they were done in. */
  async end(id: string): Promise<void> {
    const resting = this.#resting.get(id);
    if (resting === undefined) return;
    await endResting(resting.dir);
    this.#resting.delete(id);
  }

  /** What an agent that was killed has left. */
  async endLeftovers(): Promise<void> {
    const root = restingDir(this.#context);
    mkdirSync(root, { recursive: true, mode: 0o700 });
    await Promise.all(
      readdirSync(root).map((name) => endResting(join(root, name), lostStartPatienceMs)),
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.#resting.keys()].map((id) => this.end(id)));
  }
}

/** Kinds of the namespaces that a resting container has, for who joins it. */
export function restingNamespaces(spec: ContainerSpec, idBase = 0): NamespacePlans {
  const ids = [{ inside: 0, outside: idBase, count: idsPerContainer }];
  return {
    user: hasHostIds(spec) ? { kind: "host" } : { kind: "new", uids: ids, gids: ids },
    pid: { kind: "new" },
    network: { kind: "host" },
    ipc: { kind: "host" },
    uts: { kind: "host" },
    cgroup: { kind: "host" },
    time: { kind: "host" },
  };
}

function restingDir({ runDir }: { readonly runDir: string }): string {
  return join(runDir, "copies");
}

/** A supervisor that the killed agent had just asked for may not listen yet. */
const lostStartPatienceMs = 1000;
const lostStartStepMs = 50;

async function endResting(dir: string, patienceMs = 0): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += lostStartStepMs) {
    const found = await SupervisorClient.connect(join(dir, "ctl.sock")).catch(() => undefined);
    if (found !== undefined) {
      await found.client.signal(signalNumber("SIGKILL"), false).catch(() => {});
      await found.client.ended;
      found.client.close();
      break;
    }
    // Nobody listens: it is gone.
    if (waitedMs >= patienceMs) break;
    await new Promise((resolve) => {
      setTimeout(resolve, lostStartStepMs);
    });
  }
  await rm(dir, { recursive: true, force: true });
}

function planResting(context: ContainerContext, spec: ContainerSpec): StartPlan {
  const image = requireImage(context, spec);
  const idBase = hasHostIds(spec) ? 0 : context.idLeases.lease(spec.id);
  return {
    process: neverRun,
    namespaces: restingNamespaces(spec, idBase),
    idBase,
    hostname: "",
    domainname: "",
    root: {
      kind: "overlay",
      layerDirs: image.layerDirs,
      writableDir: `${pathsOf(context, spec.id).dir}/rootfs`,
    },
    readOnlyRoot: spec.readOnlyRoot,
    rootPropagation: undefined,
    stagingDir: stagingDirOf(context),
    mounts: resolveMounts(context, spec).map(withoutLoss),
    devices: [],
    symlinks: [],
    maskedPaths: [],
    readOnlyPaths: [],
    sysctls: [],
    cgroup: { v1: [], unified: undefined, writes: [], deviceFilter: undefined },
    network: { hostMessages: [], initMessages: Buffer.alloc(0) },
    init: false,
    hold: true,
  };
}

/** What is copied to a tmpfs of a container that does not run would be gone before it does: refused by the kernel. */
function withoutLoss(mount: PlannedMount): PlannedMount {
  if (mount.kind !== "filesystem") return mount;
  return { ...mount, flags: mount.flags | mountAttribute.readOnly };
}

const neverRun: StartPlan["process"] = {
  argv: ["/"],
  environment: [],
  workingDir: "/",
  user: { uid: 0, gid: 0, supplementaryGids: [] },
  capabilities: { bounding: 0n, permitted: 0n, effective: 0n, inheritable: 0n, ambient: 0n },
  seccomp: undefined,
  noNewPrivileges: true,
  label: undefined,
  umask: 0o022,
  rlimits: [],
  oomScoreAdj: undefined,
  terminal: undefined,
};
