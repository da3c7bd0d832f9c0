import { freezerFile } from "../cgroups/container-cgroup.ts";
import { limitDrift, limitFiles } from "../cgroups/limit-drift.ts";
import { type WatchedFiles, watchedFiles } from "../helper/launcher.ts";
import type { ContainerStatus, KernelDrift, ObserveOptions } from "../runtime.ts";
import { type ContainerContext, cgroupPathOf } from "./container-context.ts";
import { FileMarks } from "./file-marks.ts";
import type { HostsFiles } from "./hosts-files.ts";

type Found = {
  readonly pid: number | undefined;
  readonly drift: readonly KernelDrift[];
  readonly files: WatchedFiles;
};

/**
 * What was changed by hand of running containers on the host: limits in cgroup files, files that are mounted inside. Also
 * knows whether the freezer's file is as it was.
 */
export class OuterDrift {
  readonly #context: ContainerContext;
  readonly #hosts: HostsFiles;
  readonly #marks: FileMarks;
  readonly #found = new Map<string, Found>();

  constructor(context: ContainerContext, hosts: HostsFiles) {
    this.#context = context;
    this.#hosts = hosts;
    this.#marks = new FileMarks(context);
  }

  /** To be called before the others: what they need not read again is found out for all of them at once. */
  async look(
    statuses: readonly ContainerStatus[],
    { drift = "due" }: ObserveOptions,
  ): Promise<void> {
    const groups = new Map<string, WatchedFiles>();
    for (const { spec, state } of drift === "due" ? statuses : []) {
      const files = this.#found.get(spec.id)?.files;
      if (state === "running" && files !== undefined) groups.set(spec.id, files);
    }
    await this.#marks.look(groups);
  }

  /** What was read of the container of this id, and its freezer, is as it was. */
  isAsRead(id: string): boolean {
    return this.#marks.isUnchanged(id);
  }

  /** Reported again by looks at what is known, until it was looked at anew or put right. */
  observe(
    statuses: readonly ContainerStatus[],
    { drift = "due" }: ObserveOptions,
  ): readonly KernelDrift[] {
    const running = statuses.filter(({ state }) => state === "running");
    const ids = new Set(running.map(({ spec }) => spec.id));
    for (const id of this.#found.keys()) if (!ids.has(id)) this.forget(id);
    return running.flatMap((status) => {
      const { id } = status.spec;
      const known = this.#found.get(id);
      const isEnough = drift === "known" || this.isAsRead(id);
      if (isEnough && known?.pid === status.pid && known !== undefined) return known.drift;
      return this.#read(status);
    });
  }

  /** It was put right. */
  forget(id: string): void {
    this.#found.delete(id);
    this.#marks.forget(id);
  }

  #read({ spec, pid }: ContainerStatus): readonly KernelDrift[] {
    const { cgroups } = this.#context;
    const limits = limitDrift(cgroups, cgroupPathOf(this.#context, spec.id), spec);
    const drift = [...limits, ...this.#hosts.drift(spec)];
    this.#found.set(spec.id, { pid, drift, files: this.#files(spec) });
    this.#marks.wasRead(spec.id);
    return drift;
  }

  #files(spec: ContainerStatus["spec"]): WatchedFiles {
    const { cgroups } = this.#context;
    const cgroup = cgroupPathOf(this.#context, spec.id);
    const freezer = freezerFile(cgroups, cgroup);
    const read = [
      ...limitFiles(cgroups, cgroup, spec),
      ...(freezer === undefined ? [] : [freezer]),
    ];
    return watchedFiles([
      ...read.map((path) => ({ covers: "content", path }) as const),
      ...this.#hosts.paths(spec.id).map((path) => ({ covers: "status", path }) as const),
    ]);
  }
}
