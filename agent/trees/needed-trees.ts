import type { App } from "../../manifests/desired-state.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Core } from "../core.ts";

/** Trees that a stored revision, an app as it is held or could be rolled back to, or a container of any state mounts. */
export async function neededTrees({
  runtime,
  state,
  enforcement,
}: Pick<Core, "state" | "enforcement"> & {
  readonly runtime: Pick<Runtime, "observe">;
}): Promise<ReadonlySet<string>> {
  const { containers } = await runtime.observe();
  const mounts = containers.flatMap(({ spec }) => spec.mounts);
  const secrets = mounts.flatMap((mount) =>
    mount.type === "secret" ? (state.secret(mount.secret)?.tree ?? []) : [],
  );
  return new Set([
    ...state.revisionTrees(),
    ...state.everyDefinition().flatMap(treesOf),
    ...enforcement.apps().flatMap(({ app }) => treesOf(app)),
    ...mounts.flatMap(treeOfMount),
    ...secrets,
  ]);
}

function treesOf(app: App): readonly string[] {
  return app.services.flatMap(({ mounts }) => mounts.flatMap(treeOfMount));
}

function treeOfMount(mount: { readonly type: string; readonly tree?: string }): readonly string[] {
  return mount.tree === undefined ? [] : [mount.tree];
}
