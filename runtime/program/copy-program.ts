import { capabilityMask, capabilityName } from "../plan/capabilities.ts";
import type { CgroupPlan, NamespacePlans } from "../plan/start-plan.ts";
import { copyFlag } from "../protocol.ts";
import { seccompFilter } from "../seccomp/seccomp-filter.ts";
import { openCgroup } from "./cgroup-program.ts";
import type { CopySpec } from "./copy-spec.ts";
import { joinFlags } from "./namespaces-program.ts";
import { Program } from "./program.ts";

/**
 * Compiles a process that copies: in the container's mount, process and user namespaces, as its root, with capabilities
 * over files only and the default filter. It runs no program, so nothing of the container's is executed or loaded.
 */
export function compileCopy(plan: {
  readonly copy: CopySpec;
  /** Of the container. */
  readonly namespaces: NamespacePlans;
  /** What the container's own processes may come to hold. */
  readonly capabilities: readonly string[];
  /** Whose memory counts what is written to a tmpfs; undefined: the supervisor's. */
  readonly cgroup: Pick<CgroupPlan, "v1" | "unified"> | undefined;
}): Buffer {
  const { copy } = plan;
  const program = new Program();
  const cgroup = openCgroup(program, plan.cgroup ?? { v1: [], unified: undefined });
  program.join(joinFlags({ ...plan.namespaces, ...ofNoUse }), cgroup.unified);
  program.passFds().initBegin().takeFds();
  for (const slot of cgroup.tasks) program.cgroupEnter(slot);
  const names = [...always, ...whereHeld.filter((name) => plan.capabilities.includes(name))];
  const mask = capabilityMask(names.map(capabilityName));
  program
    .session()
    .noNewPrivs()
    .ids(0, 0, [])
    .capabilities({
      bounding: mask,
      permitted: mask,
      effective: mask,
      inheritable: 0n,
      ambient: 0n,
    })
    .seccomp(0, seccompFilter(undefined, names));
  if (copy.direction === "out") program.copyOut(copy.followLink ? copyFlag.follow : 0, copy);
  else program.copyIn(inFlags(copy), copy);
  return program.finish();
}

const ofNoUse = {
  network: { kind: "host" },
  ipc: { kind: "host" },
  uts: { kind: "host" },
  cgroup: { kind: "host" },
  time: { kind: "host" },
} as const;

/** Root over its own files, whatever was taken from the container. */
const always = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"];
const whereHeld = ["MKNOD", "SETFCAP"];

function inFlags(copy: Extract<CopySpec, { direction: "in" }>): number {
  return (
    (copy.contents ? copyFlag.contents : 0) |
    (copy.extract ? copyFlag.extract : 0) |
    (copy.keepIds ? copyFlag.keepIds : 0)
  );
}
