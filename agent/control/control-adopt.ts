import { writeCompose } from "../../manifests/convert/conversion.ts";
import { wantedApp } from "../plan/wanted-state.ts";
import { admitService } from "../policy/admit-service.ts";
import { fieldsThatDiffer } from "../rollout/take-over.ts";
import { runRevision } from "../store/rollout-store.ts";
import type { RunSource } from "../store/run-store.ts";
import { compileAlone } from "./compile-run.ts";
import type { ControlContext } from "./control-context.ts";
import { resolveContainer } from "./control-names.ts";
import { requireByHand } from "./control-run.ts";
import { hideSecrets } from "./hide-secrets.ts";
import type { AdoptReport } from "./run-control.ts";

export async function adoptByHand(
  context: ControlContext,
  name: string,
  { showSecrets }: { readonly showSecrets: boolean },
): Promise<AdoptReport> {
  const { core } = context;
  const container = resolveContainer(await core.view.observe(), name);
  requireByHand(context, container, "adopt");
  const source = core.state.run(container.app);
  if (source === undefined)
    throw new Error(`what ${container.name} was run from is lost: a defect`);
  const { compose, hidden } = showSecrets ? { compose: source, hidden: [] } : hideSecrets(source);
  return {
    container: container.name,
    path: `${container.app}/compose.yaml`,
    compose: writeCompose({ compose, notes: [] }),
    hidden,
    notes: [
      ...(await notCarried(context, container.app, source)),
      ...(await written(context, container.id)),
      ...(await refused(context, container.app, source)),
    ],
  };
}

export async function namesByHand({ core }: ControlContext): Promise<readonly string[]> {
  return core.enforcement
    .wanted()
    .apps.filter(({ name }) => core.enforcement.isByHand(name))
    .flatMap(({ containers }) => containers.map(({ name }) => name));
}

/** The file is held against what runs: nothing differs unless an older berth read it otherwise. */
async function notCarried(
  { core }: ControlContext,
  directory: string,
  source: RunSource,
): Promise<readonly string[]> {
  const held = core.enforcement.app(directory);
  const byHand = core.enforcement.wanted().apps.find(({ name }) => name === directory);
  if (held === undefined || byHand === undefined) return [];
  const text = writeCompose({ compose: source, notes: [] });
  const app = await compileAlone({ directory, text, host: core.settings().host });
  const wanted = wantedApp({ app, revision: runRevision, images: held.images });
  return byHand.containers.flatMap((container) =>
    fieldsThatDiffer(container, { byHand, wanted }).map(
      (field) => `${field}: it would be another, and the container made anew`,
    ),
  );
}

async function written({ core }: ControlContext, id: string): Promise<readonly string[]> {
  const count = (await core.runtime.changes(id)).length;
  if (count === 0) return [];
  return [
    `root file system: ${count} paths were changed in it; they stay for as long as the container does, ` +
      "and are in no later one ('berth diff' lists them, 'berth commit' makes an image of them)",
  ];
}

async function refused(
  { core }: ControlContext,
  directory: string,
  source: RunSource,
): Promise<readonly string[]> {
  const { host, policy, listen } = core.settings();
  const admit = admitService(policy, { ports: listen === null ? [] : [listen.port] });
  try {
    const text = writeCompose({ compose: source, notes: [] });
    await compileAlone({ directory, text, host, admit });
    return [];
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [`this host's policy, which holds for commits, refuses the file: ${why}`];
  }
}
