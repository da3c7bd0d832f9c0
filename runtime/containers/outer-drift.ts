import { limitDrift } from "../cgroups/limit-drift.ts";
import type { ContainerStatus, KernelDrift, ObserveOptions } from "../runtime.ts";
import { type ContainerContext, cgroupPathOf } from "./container-context.ts";
import type { HostsFiles } from "./hosts-files.ts";

type Found = { readonly pid: number | undefined; readonly drift: readonly KernelDrift[] };

/** What was changed by hand of running containers on the host: limits in cgroup files, files that are mounted inside. */
export class OuterDrift {
  readonly #context: ContainerContext;
  readonly #hosts: HostsFiles;
  readonly #found = new Map<string, Found>();

  constructor(context: ContainerContext, hosts: HostsFiles) {
    this.#context = context;
    this.#hosts = hosts;
  }

  /** Reported again by looks at what is known, until it was looked at anew or put right. */
  observe(
    statuses: readonly ContainerStatus[],
    { drift = "due" }: ObserveOptions,
  ): readonly KernelDrift[] {
    const running = statuses.filter(({ state }) => state === "running");
    const ids = new Set(running.map(({ spec }) => spec.id));
    for (const id of this.#found.keys()) if (!ids.has(id)) this.#found.delete(id);
    return running.flatMap((status) => {
      const known = this.#found.get(status.spec.id);
      if (drift === "known" && known?.pid === status.pid && known !== undefined) return known.drift;
      return this.#look(status);
    });
  }

  /** It was put right. */
  forget(id: string): void {
    this.#found.delete(id);
  }

  #look({ spec, pid }: ContainerStatus): readonly KernelDrift[] {
    const { cgroups } = this.#context;
    const limits = limitDrift(cgroups, cgroupPathOf(this.#context, spec.id), spec);
    const drift = [...limits, ...this.#hosts.drift(spec)];
    this.#found.set(spec.id, { pid, drift });
    return drift;
  }
}
