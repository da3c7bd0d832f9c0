import { createHash } from "node:crypto";
import { posix } from "node:path";
import type { ContainerSpec, Mount } from "../container-spec.ts";
import type { ImageConfig } from "../images/image-store.ts";

/** Label of a volume that a container has because its image says so: the container's name. */
export const imageVolumeLabel = "io.berth.image-volume-of";

const volumesMax = 64;

/**
 * The volumes that an image declares (`VOLUME`) at places where the container mounts nothing. Their names follow from
 * the container's name and the place, so that its successor finds the same data. What an image says of `/`, `/proc`,
 * `/sys` and `/dev`, or in no plain form, is passed over.
 */
export function imageVolumes(
  spec: Pick<ContainerSpec, "name" | "mounts">,
  config: Pick<ImageConfig, "volumes">,
): readonly Extract<Mount, { type: "volume" }>[] {
  const taken = new Set(spec.mounts.map(({ target }) => plain(target)));
  const targets = [...new Set(config.volumes.map(plain))].filter(
    (target) => mayHaveVolume(target) && !taken.has(target),
  );
  if (targets.length > volumesMax) {
    throw new Error(
      `cannot create ${spec.name} because its image declares ${targets.length} volumes: ${volumesMax} at most are made`,
    );
  }
  return targets.map((target) => ({
    type: "volume",
    volume: volumeName(spec.name, target),
    target,
    readOnly: false,
    copy: true,
  }));
}

function plain(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 ? normal.replace(/\/$/, "") : normal;
}

function mayHaveVolume(target: string): boolean {
  const isPlain = target.startsWith("/") && target !== "/" && !target.includes("\0");
  return isPlain && target.length < 1024 && !/^\/(proc|sys|dev)(\/|$)/.test(target);
}

function volumeName(container: string, target: string): string {
  const hash = createHash("sha256").update(`${container}\0${target}`).digest("hex");
  return `${container.slice(0, 100)}_${hash.slice(0, 12)}`;
}
