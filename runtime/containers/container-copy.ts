import { rareControllers } from "../cgroups/cgroup-limits.ts";
import { cgroupDirs, isFrozen } from "../cgroups/container-cgroup.ts";
import { execInContainer } from "../helper/supervisor-session.ts";
import { containerCapabilities } from "../plan/plan-capabilities.ts";
import { namespaceKinds } from "../plan/plan-namespaces.ts";
import { compileCopy } from "../program/copy-program.ts";
import type { CopySpec } from "../program/copy-spec.ts";
import { execFlag } from "../protocol.ts";
import type { ProcessSession } from "../runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import { cgroupPathOf, supervisorOf } from "./container-context.ts";
import type { InventoryEntry } from "./inventory.ts";
import { RestingContainers, restingNamespaces } from "./resting-containers.ts";
import type { Turns } from "./turns.ts";

/** Copies into and out of containers, whether they run or not. */
export class ContainerCopies {
  readonly #context: ContainerContext;
  readonly #turns: Turns;
  readonly #isRunning: (id: string) => boolean;
  readonly #resting: RestingContainers;

  /** `turns`: those in which containers are started and removed. */
  constructor(context: ContainerContext, turns: Turns, isRunning: (id: string) => boolean) {
    this.#context = context;
    this.#turns = turns;
    this.#isRunning = isRunning;
    this.#resting = new RestingContainers(context);
  }

  copy(id: string, copy: CopySpec): Promise<ProcessSession> {
    return this.#turns.take(id, () => {
      const entry = this.#context.inventory.require(id);
      return this.#isRunning(id) ? this.#copyRunning(entry, copy) : this.#copyResting(entry, copy);
    });
  }

  /** Ends the copies of a container that does not run, before it starts or goes. To be called in its turn. */
  end(id: string): Promise<void> {
    return this.#resting.end(id);
  }

  /** What an agent that was killed has left. */
  endLeftovers(): Promise<void> {
    return this.#resting.endLeftovers();
  }

  close(): Promise<void> {
    return this.#resting.close();
  }

  /**
   * What is written counts as the container's: a tmpfs is its memory. Reading is done outside its cgroup, and so works
   * while it is paused or at its limits.
   */
  async #copyRunning({ spec }: InventoryEntry, copy: CopySpec): Promise<ProcessSession> {
    const { cgroups } = this.#context;
    const path = cgroupPathOf(this.#context, spec.id);
    const isInto = copy.direction === "in";
    if (isInto && isFrozen(cgroups, path)) {
      throw new Error(`cannot copy into ${spec.name} because it is paused: unpause it first`);
    }
    const program = compileCopy({
      copy,
      namespaces: namespaceKinds(this.#context, spec),
      capabilities: containerCapabilities(spec),
      cgroup: isInto ? cgroupDirs(cgroups, path, rareControllers(spec.resources)) : undefined,
    });
    return execInContainer(supervisorOf(this.#context, spec.id), {
      flags: flagsOf(copy),
      program,
    });
  }

  async #copyResting({ spec }: InventoryEntry, copy: CopySpec): Promise<ProcessSession> {
    const { id } = spec;
    const socketPath = await this.#resting.hold(spec);
    const program = compileCopy({
      copy,
      namespaces: restingNamespaces(spec),
      capabilities: containerCapabilities(spec),
      cgroup: undefined,
    });
    const started = execInContainer({ socketPath }, { flags: flagsOf(copy), program });
    const session = await started.catch(async (error: unknown) => {
      await this.#resting.endUnused(id);
      throw error;
    });
    this.#resting.use(id, session);
    const drop = () => this.#turns.take(id, () => this.#resting.drop(id, session));
    session.exit.finally(drop).catch((error: unknown) => {
      this.#context.log.warn("file system of a copy stays mounted", { id, error: String(error) });
    });
    return session;
  }
}

function flagsOf(copy: CopySpec): number {
  return copy.direction === "in" ? execFlag.stdin : 0;
}
