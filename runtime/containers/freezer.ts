import { isFrozen, setFrozen } from "../cgroups/container-cgroup.ts";
import type { ObserveOptions } from "../runtime.ts";
import { type ContainerContext, cgroupPathOf } from "./container-context.ts";

/** Of a container id: nothing on the host need be read again. */
export type IsAsRead = (id: string) => boolean;

/** Who is held by the cgroup freezer: by this runtime, which remembers it, or by others, which only the kernel knows. */
export class Freezer {
  readonly #context: ContainerContext;
  readonly #known = new Map<string, boolean>();

  constructor(context: ContainerContext) {
    this.#context = context;
  }

  /** Without a look at the kernel's file where what is known is enough, or `isAsRead` says that the file is as it was. */
  holds(id: string, { drift }: ObserveOptions = {}, isAsRead: IsAsRead = () => false): boolean {
    const known = drift === "known" || isAsRead(id) ? this.#known.get(id) : undefined;
    if (known !== undefined) return known;
    const found = isFrozen(this.#context.cgroups, cgroupPathOf(this.#context, id));
    this.#known.set(id, found);
    return found;
  }

  /** Throws where the host has no freezer. */
  set(id: string, frozen: boolean): void {
    setFrozen(this.#context.cgroups, cgroupPathOf(this.#context, id), frozen);
    this.#known.set(id, frozen);
  }

  /** Its cgroup is another one from now on, or none. */
  forget(id: string): void {
    this.#known.delete(id);
  }
}
