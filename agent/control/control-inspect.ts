import type { ActualContainer, ActualState } from "../observe.ts";
import type { ControlContext } from "./control-context.ts";
import { inspectImage } from "./control-images.ts";
import { findContainers, resolveContainer } from "./control-names.ts";
import { psEntry } from "./control-status.ts";
import { NotFoundError } from "./not-found-error.ts";

/** Everything known of a container, a network, a volume or an image, tried in this order. */
export async function inspectByName(context: ControlContext, name: string): Promise<unknown> {
  const { core } = context;
  const actual = await core.view.observe();
  if (findContainers(actual, name).length > 0) {
    return inspectContainer(context, resolveContainer(actual, name), actual);
  }
  const network = actual.networks.find((item) => item.name === name);
  if (network !== undefined) {
    const containers = actual.containers
      .filter(({ status }) => name in status.addresses)
      .map((container) => ({
        id: container.id,
        name: container.name,
        address: container.status.addresses[name],
      }));
    return { kind: "network", ...network, containers };
  }
  const volume = actual.volumes.find((item) => item.name === name);
  if (volume !== undefined) {
    const createdAt = new Date(volume.createdAtMs).toISOString();
    return { kind: "volume", ...volume, createdAt };
  }
  const image = await inspectImage(context, name);
  if (image !== undefined) return image;
  throw new NotFoundError(
    `cannot find ${name}: no container, network, volume or image has that name; ` +
      "see `berth ps -a` and `berth images`",
  );
}

function inspectContainer(
  { core }: ControlContext,
  container: ActualContainer,
  actual: ActualState,
): unknown {
  const { spec, exit, cgroupPath, hostInterfaces, logPath } = container.status;
  const image = core.runtime.images.find(spec.image.digest);
  const wanted = core.enforcement.container(container.name);
  const why = core.live.reason(container.id);
  const mark = actual.byHand.get(container.name);
  return {
    kind: "container",
    ...psEntry(container, actual),
    exit: exit ?? null,
    healthOutput: core.health.output(container.id),
    restartPolicy: wanted?.service.restart ?? null,
    healthcheck: core.healthcheckOf(container.name) ?? null,
    stopGraceMs: container.stopGraceMs,
    why:
      why === undefined
        ? null
        : {
            revision: why.revision,
            time: new Date(why.atMs).toISOString(),
            reason: why.reason,
          },
    byHandAction: mark === undefined ? null : mark.action,
    spec,
    image: image === undefined ? null : { digest: image.digest, config: image.config },
    cgroupPath,
    hostInterfaces,
    logPath,
  };
}
