import type { ActualState } from "../observe.ts";
import type { ControlContext } from "./control-context.ts";
import { resolveContainer } from "./control-names.ts";
import { NotFoundError } from "./not-found-error.ts";
import type { NetworkReport, ResourceControl, VolumeReport } from "./resource-control.ts";

export function createResourceControl(context: ControlContext): ResourceControl {
  const { runtime, view } = context.core;
  return {
    diff: async (name) => runtime.changes(resolveContainer(await view.observe(), name).id),
    volumes: async () => listVolumes(await view.observe()),
    removeVolume: (name) => removeVolume(context, name),
    networks: async () => listNetworks(await view.observe()),
  };
}

function listVolumes({ volumes, containers }: ActualState): readonly VolumeReport[] {
  const names = new Map(containers.map(({ id, name }) => [id, name]));
  return volumes.map(({ name, labels, path, createdAtMs, usedBy }) => ({
    name,
    labels,
    path,
    createdAt: new Date(createdAtMs).toISOString(),
    usedBy: usedBy.map((id) => names.get(id) ?? id),
  }));
}

function listNetworks({ networks, containers }: ActualState): readonly NetworkReport[] {
  return networks.map(({ name, labels, bridge, subnet, gateway, internal }) => ({
    name,
    labels,
    bridge,
    subnet,
    gateway,
    internal,
    containers: Object.fromEntries(
      containers.flatMap((container) => {
        const address = container.status.addresses[name];
        return address === undefined ? [] : [[container.name, address]];
      }),
    ),
  }));
}

/** The loop makes it anew, empty, where the revision wants it. */
async function removeVolume({ core, loop }: ControlContext, name: string): Promise<void> {
  const { volumes } = await core.view.observe();
  if (!volumes.some((volume) => volume.name === name)) {
    const there = volumes.map((volume) => volume.name).join(", ");
    throw new NotFoundError(
      `cannot find a volume ${name}: there ${there === "" ? "are none" : `are ${there}`}`,
    );
  }
  await core.runtime.removeVolume(name);
  core.events.record({
    kind: "volume.removed-by-hand",
    target: name,
    message: `removal of volume ${name} by hand`,
  });
  loop.trigger("by hand");
}
