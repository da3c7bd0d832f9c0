import { lstatSync, readFileSync } from "node:fs";
import { cgroupPids } from "./cgroup-path.ts";
import { stateOf, statusOf } from "./container-status.ts";
import type { OciState } from "./hooks.ts";
import { listContainers, type OciRecord, StateDirectory } from "./state-directory.ts";

/** What `state` and `list` print: the state of the specification, and what callers of runtimes look for besides. */
export type ContainerView = OciState & {
  readonly rootfs: string;
  readonly created: string;
  readonly owner: string;
};

export function viewContainer(directory: StateDirectory): ContainerView {
  return viewOf(directory.read(), directory);
}

export function viewAll(root: string): readonly ContainerView[] {
  return listContainers(root).map((record) => viewOf(record, new StateDirectory(root, record.id)));
}

/** Host pids of every process. Throws when there is no such container. */
export function processesOf(directory: StateDirectory): readonly number[] {
  return cgroupPids(directory.read().cgroup).toSorted((a, b) => a - b);
}

function viewOf(record: OciRecord, directory: StateDirectory): ContainerView {
  const { ociVersion, id, pid = 0, status, bundle } = stateOf(record, statusOf(record, directory));
  return {
    // In the order that shell scripts are used to.
    ociVersion,
    id,
    pid,
    status,
    bundle,
    rootfs: record.rootfs,
    created: record.created,
    annotations: record.annotations,
    owner: ownerOf(directory.path),
  };
}

function ownerOf(path: string): string {
  const { uid } = lstatSync(path);
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.split(":")[2] === `${uid}`);
  return line?.split(":")[0] ?? `${uid}`;
}
