/** What becomes of containers that were run by hand once they are not wanted any more. */
import { anonymousVolume } from "../../manifests/compose/build-service.ts";
import type { App } from "../../manifests/desired-state.ts";
import { imageVolumeLabel } from "../../runtime/containers/image-volumes.ts";
import type { ActualContainer, ActualState } from "../observe.ts";
import type { ControlContext } from "./control-context.ts";
import { untilRound } from "./until-round.ts";

type Context = Pick<ControlContext, "core" | "loop" | "beginning" | "removals">;

/** Removes each that is to be gone with its end, also when that came while no agent ran, until the signal. */
export function removeEndedRuns(context: Context, abort: AbortSignal): void {
  const { core, loop, removals } = context;
  loop.onRound(({ actual }) => {
    for (const app of core.state.endingRuns()) {
      const container = actual.containers.find((one) => one.app === app);
      if (container === undefined || removals.has(app)) continue;
      if (!core.enforcement.isByHand(app) || !isOver(context, container, actual)) continue;
      const removal = takeAway(context, app, { volumes: true, abort })
        .catch((error: unknown) => {
          if (!abort.aborted) core.log.warn("cannot remove what was run by hand", { app, error });
        })
        .finally(() => removals.delete(app));
      removals.set(app, removal);
    }
  });
}

/** Ends and removes what was run by hand. `volumes`: also its volumes that have no name. */
export async function takeAway(
  { core, loop }: Pick<Context, "core" | "loop">,
  name: string,
  { volumes, abort }: { readonly volumes: boolean; readonly abort: AbortSignal },
): Promise<void> {
  const held = core.enforcement.app(name);
  const nameless = held === undefined || !volumes ? [] : await namelessVolumes(core, held.app);
  // Git may make an app of the same name at once: that is not waited for.
  const before = (await core.view.observe()).containers.filter(({ app }) => app === name);
  const leaving = new Set(before.map(({ id }) => id));
  core.enforcement.promote({ begun: [], renamed: [], removed: [name], nowMs: core.clock.now() });
  const after = loop.roundsBegun;
  loop.supersede(name);
  await untilRound(loop, { after, abort }, ({ actual }) =>
    actual.containers.some(({ id }) => leaving.has(id)) ? undefined : true,
  );
  for (const volume of nameless) await core.runtime.removeVolume(volume);
}

/** One that was made for somebody to start it, and that nobody starts any more, is over too. */
function isOver(
  { core, beginning }: Context,
  container: ActualContainer,
  { byHand }: ActualState,
): boolean {
  const { name, restartPending, status } = container;
  if (status.state === "created") return byHand.has(name) && !beginning.has(name);
  const isRunning = status.state === "running" || status.state === "paused";
  return !isRunning && !restartPending && !core.supervisor.isPending(container.id);
}

/** Names of those that an app's services, or their images, mount without giving them one. */
async function namelessVolumes(core: Context["core"], app: App): Promise<readonly string[]> {
  const own = app.services.flatMap(({ name, mounts }) =>
    mounts.flatMap((mount) => {
      if (mount.type !== "volume") return [];
      const { key } = anonymousVolume(name, mount.target);
      return mount.volume === key ? (app.volumes[key]?.name ?? []) : [];
    }),
  );
  const { containers, volumes } = await core.view.observe();
  const mine = new Map(
    containers.filter((one) => one.app === app.name).map(({ id, name }) => [id, name]),
  );
  const names = new Set(mine.values());
  return volumes
    .filter(
      ({ name, labels, usedBy }) =>
        usedBy.every((id) => mine.has(id)) &&
        (own.includes(name) || names.has(labels[imageVolumeLabel] ?? "")),
    )
    .map(({ name }) => name);
}
