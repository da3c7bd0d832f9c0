import type { CgroupPlan } from "../plan/start-plan.ts";
import type { Slot } from "./operation-list.ts";
import type { Program } from "./program.ts";

export type OpenCgroup = {
  /** Where the process is cloned into. */
  readonly unified: Slot | null;
  /** What it writes itself to, once it runs. */
  readonly tasks: readonly Slot[];
};

/** Host part: makes the container's cgroups with their limits. */
export function prepareCgroup(program: Program, cgroup: CgroupPlan): OpenCgroup {
  for (const directory of cgroup.v1) program.makeHostDir(directory, 0o755);
  if (cgroup.unified !== undefined) program.makeHostDir(cgroup.unified, 0o755);
  for (const write of cgroup.writes) {
    program.writeHostFile(write.path, write.value, { optional: write.optional });
  }
  if (cgroup.unified !== undefined && cgroup.deviceFilter !== undefined) {
    program.cgroupDevices(cgroup.unified, cgroup.deviceFilter);
  }
  return openCgroup(program, cgroup);
}

/** Host part: opens the cgroups for a process that is to enter them. */
export function openCgroup(
  program: Program,
  cgroup: Pick<CgroupPlan, "v1" | "unified">,
): OpenCgroup {
  const tasks = cgroup.v1.map((directory) => {
    const slot = program.slot();
    program.open(slot, null, openWriteOnly, `${directory}/tasks`);
    return slot;
  });
  if (cgroup.unified === undefined) return { unified: null, tasks };
  const unified = program.slot();
  program.open(unified, null, openPathDirectory, cgroup.unified);
  return { unified, tasks };
}

const openWriteOnly = 1;
/** O_PATH | O_DIRECTORY of open(2). */
const openPathDirectory = 0o10_200_000;
