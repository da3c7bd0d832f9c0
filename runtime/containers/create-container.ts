import { chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { ContainerSpec } from "../container-spec.ts";
import type { Image } from "../images/image-store.ts";
import { LAYER_ID_BASE } from "../images/layer-ids.ts";
import { hasHostIds } from "../plan/plan-namespaces.ts";
import { checkSpec } from "./check-spec.ts";
import type { ContainerContext } from "./container-context.ts";
import { pathsOf } from "./container-context.ts";
import { imageVolumeLabel, imageVolumes } from "./image-volumes.ts";
import { seedVolume } from "./seed-volume.ts";

/**
 * Makes the directories and leases of a container. Everything that can be refused is refused before the first of them
 * exists. Idempotent for the same id.
 */
export async function createContainer(
  context: ContainerContext,
  given: ContainerSpec,
): Promise<void> {
  if (context.inventory.get(given.id) !== undefined) return;
  const image = requireImage(context, given);
  checkSpec(context, given, image);
  const spec = withImageVolumes(context, given, image);
  const paths = pathsOf(context, spec.id);
  context.inventory.put({ spec, phase: "creating", createdAtMs: context.now() });
  if (!hasHostIds(spec)) context.idLeases.lease(spec.id);
  for (const { network, ...wish } of spec.networks)
    context.networks.leaseAddress(spec.id, network, wish);
  mkdirSync(paths.dir, { recursive: true, mode: 0o700 });
  for (const [dir, mode] of [
    [`${paths.dir}/rootfs`, 0o700],
    [paths.upper, 0o755],
    [paths.work, 0o700],
    [paths.etc, 0o755],
  ] as const) {
    mkdirSync(dir, { recursive: true, mode });
    chownSync(dir, LAYER_ID_BASE, LAYER_ID_BASE);
  }
  await seedVolumes(context, spec, image);
  writeFileSync(paths.specFile, JSON.stringify(spec), { mode: 0o600 });
  context.inventory.put({ spec, phase: "created", createdAtMs: context.now() });
}

/** They are there from now on, and stay when the container goes: its successor finds them by their names. */
function withImageVolumes(
  context: ContainerContext,
  spec: ContainerSpec,
  image: Image,
): ContainerSpec {
  const mounts = imageVolumes(spec, image.config);
  if (mounts.length === 0) return spec;
  for (const { volume } of mounts) {
    const label = context.volumes.has(volume) ? {} : { [imageVolumeLabel]: spec.name };
    context.volumes.ensure({ name: volume, labels: label });
  }
  return { ...spec, mounts: [...spec.mounts, ...mounts] };
}

/** The spec of a container whose directory outlived a reboot; undefined when it is not whole. */
export function readStoredSpec(specFile: string): ContainerSpec | undefined {
  try {
    // Written by createContainer; a power cut may have torn it.
    return JSON.parse(readFileSync(specFile, "utf8")) as ContainerSpec;
  } catch {
    return undefined;
  }
}

/** Throws when the image is not in the store. */
export function requireImage(context: ContainerContext, spec: ContainerSpec): Image {
  const image = context.images.find(spec.image.digest) ?? context.images.find(spec.image.reference);
  if (image === undefined) {
    throw new Error(
      `cannot create ${spec.name} because image ${spec.image.reference} is not in the store: pull or load it first`,
    );
  }
  return image;
}

/**
 * Docker's rule: a volume that is empty when it is first mounted gets what the image has at that place. One that other
 * containers mount stays as it is: they could change it while it is filled, and would not see it change places.
 */
async function seedVolumes(
  context: ContainerContext,
  spec: ContainerSpec,
  image: Image,
): Promise<void> {
  for (const mount of spec.mounts) {
    if (mount.type !== "volume" || !mount.copy) continue;
    await context.volumes.seed(mount.volume, {
      isInUse: () => isMountedByOthers(context, spec.id, mount.volume),
      fill: (destination) =>
        seedVolume(context.launcher, {
          layerDirs: image.layerDirs,
          source: mount.target,
          destination,
        }),
    });
  }
}

/** One that is being created has not been started yet, and waits for its own turn to seed. */
function isMountedByOthers(context: ContainerContext, id: string, volume: string): boolean {
  return [...context.inventory.all()].some(
    ({ spec, phase }) =>
      spec.id !== id &&
      phase !== "creating" &&
      spec.mounts.some((mount) => mount.type === "volume" && mount.volume === volume),
  );
}
