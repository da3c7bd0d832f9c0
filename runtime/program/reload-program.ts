import { capabilityMask, capabilityName } from "../plan/capabilities.ts";
import type { NamespacePlans, PlannedMount } from "../plan/start-plan.ts";
import { prepareMounts, storeNamespace } from "./mounts-program.ts";
import { joinFlags } from "./namespaces-program.ts";
import type { Slot } from "./operation-list.ts";
import { Program } from "./program.ts";

/**
 * Compiles a process that puts mounts in the place of those with the same targets: in the container's mount and user
 * namespaces, not seen by its processes, with the rights that mounting takes. It runs no program.
 */
export function compileReload(plan: {
  /** Binds of the store, file systems that the host makes, and files inside of those. */
  readonly mounts: readonly PlannedMount[];
  /** Of the container. */
  readonly namespaces: NamespacePlans;
  /** Host id of the container's root. */
  readonly idBase: number;
}): Buffer {
  const { mounts, namespaces, idBase } = plan;
  const program = new Program();
  let storeIds: Slot | undefined;
  const prepared = prepareMounts(
    program,
    { mounts, devices: [], maskedPaths: [], idBase },
    () => (storeIds ??= storeNamespace(program, idBase)),
  );
  const proc = program.slot();
  program.open(proc, null, openPathDirectory, "/proc");
  program.join(joinFlags({ ...namespaces, ...ofNoUse }), null);
  program.passFds().initBegin().takeFds();
  const mask = capabilityMask(["SYS_ADMIN", "DAC_OVERRIDE"].map(capabilityName));
  program.noNewPrivs().ids(0, 0, []).capabilities({
    bounding: mask,
    permitted: mask,
    effective: mask,
    inheritable: 0n,
    ambient: 0n,
  });
  for (const { mount, slot } of prepared.places) {
    if (mount.kind === "inside") program.bindFromRoot(slot, mount.source, { clone: true });
    program.replaceMount(slot, proc, mount.target);
  }
  return program.end().finish();
}

/** O_PATH | O_DIRECTORY of open(2). */
const openPathDirectory = 0o10_200_000;
const ofNoUse = {
  network: { kind: "host" },
  pid: { kind: "host" },
  ipc: { kind: "host" },
  uts: { kind: "host" },
  cgroup: { kind: "host" },
  time: { kind: "host" },
} as const;
