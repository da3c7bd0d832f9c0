import type { Healthcheck } from "../../manifests/desired-state.ts";
import type { ImageHealthcheck, ImageStore } from "../../runtime/images/image-store.ts";
import type { WantedContainer } from "../plan/wanted-state.ts";
import { effectiveCheck, isWhole } from "./effective-check.ts";

const digestsMax = 1_000;

/**
 * The healthcheck that the container of a name is held to. What an image says is kept by its digest, so that a round
 * over many containers does not read the store for each.
 */
export function createHealthcheckLookup(options: {
  readonly images: Pick<ImageStore, "find">;
  readonly wanted: (name: string) => WantedContainer | undefined;
}): (name: string) => Healthcheck | undefined {
  const known = new Map<string, ImageHealthcheck | undefined>();
  const ofImage = (digest: string): ImageHealthcheck | undefined => {
    if (known.has(digest)) return known.get(digest);
    const image = options.images.find(digest);
    if (image === undefined) return undefined;
    if (known.size >= digestsMax) known.clear();
    known.set(digest, image.config.healthcheck);
    return image.config.healthcheck;
  };
  return (name) => {
    const wanted = options.wanted(name);
    if (wanted === undefined) return undefined;
    const { healthcheck } = wanted.service;
    if (healthcheck !== undefined && isWhole(healthcheck)) return healthcheck;
    return effectiveCheck(healthcheck, ofImage(wanted.spec.image.digest));
  };
}
