import { renameSync, writeFileSync } from "node:fs";
import type { ContainerSpec } from "../container-spec.ts";
import { HelperError } from "../helper/helper-error.ts";
import type { SupervisorClient } from "../helper/supervisor-client.ts";
import { execInContainer } from "../helper/supervisor-session.ts";
import { namespaceKinds, planNamespaces } from "../plan/plan-namespaces.ts";
import { signalNumber } from "../plan/signals.ts";
import { compileReload } from "../program/reload-program.ts";
import type { Reload } from "../runtime.ts";
import { type ContainerContext, pathsOf, supervisorOf } from "./container-context.ts";
import { treeMount } from "./container-mounts.ts";
import { secretMounts, withSecrets } from "./secret-mounts.ts";

/**
 * Gives a running container other files, and tells it. The intent comes first: from then on the container is as its new
 * spec says, also when it starts again, and `reload` says that what it sees may be older. Idempotent.
 */
export async function reloadContainer(
  context: ContainerContext,
  client: Pick<SupervisorClient, "signal">,
  id: string,
  reload: Reload,
): Promise<void> {
  const { inventory } = context;
  const entry = inventory.require(id);
  const files = new Map(reload.mounts.map((mount) => [mount.target, mount]));
  const spec: ContainerSpec = {
    ...entry.spec,
    labels: reload.labels,
    mounts: entry.spec.mounts.map((mount) => files.get(mount.target) ?? mount),
  };
  inventory.put({ ...entry, spec, reload: "pending" });
  storeSpec(pathsOf(context, id).specFile, spec);
  try {
    await replaceMounts(context, spec, reload.mounts);
    const reloadedAtMs = context.now();
    await client.signal(signalNumber(reload.signal), false);
    const { reload: _done, ...now } = inventory.require(id);
    inventory.put({ ...now, reloadedAtMs });
  } catch (cause) {
    inventory.put({ ...inventory.require(id), reload: "failed" });
    throw new Error(
      `cannot give ${spec.name} its changed files while it runs: ${reasonOf(cause)}`,
      { cause },
    );
  }
}

/** Whole at any moment, as it was or as it is to be. */
function storeSpec(specFile: string, spec: ContainerSpec): void {
  const incoming = `${specFile}.new`;
  writeFileSync(incoming, JSON.stringify(spec), { mode: 0o600, flush: true });
  renameSync(incoming, specFile);
}

async function replaceMounts(
  context: ContainerContext,
  spec: ContainerSpec,
  changed: Reload["mounts"],
): Promise<void> {
  const { idBase } = planNamespaces(context, spec);
  const trees = changed.flatMap((mount) =>
    mount.type === "tree" ? [treeMount(context, spec, mount)] : [],
  );
  const hasSecrets = changed.some(({ type }) => type === "secret");
  const secrets = hasSecrets
    ? secretMounts(spec, { idBase, ...(await withSecrets(context, spec)) })
    : [];
  const program = compileReload({
    mounts: [...trees, ...secrets],
    namespaces: namespaceKinds(context, spec),
    idBase,
  });
  const session = await execInContainer(supervisorOf(context, spec.id), { flags: 0, program });
  await session.exit;
}

function reasonOf(cause: unknown): string {
  // The supervisor is as old as the container's start.
  if (cause instanceof HelperError && cause.code === "EBADMSG") {
    return "it was started by an older berth";
  }
  return cause instanceof Error ? cause.message : String(cause);
}
