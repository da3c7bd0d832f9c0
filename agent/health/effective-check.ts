import type { Healthcheck } from "../../manifests/desired-state.ts";
import type { ImageHealthcheck } from "../../runtime/images/image-store.ts";

/** Docker's defaults. */
const defaults = {
  intervalMs: 30_000,
  timeoutMs: 30_000,
  startPeriodMs: 0,
  startIntervalMs: 5_000,
  retries: 3,
};

/**
 * The healthcheck that a container is held to: the service's; with an empty `test` the image's test at the service's
 * pace; without one in the service the image's as it is. Undefined: it has none.
 */
export function effectiveCheck(
  ofService: Healthcheck | undefined,
  ofImage: ImageHealthcheck | undefined,
): Healthcheck | undefined {
  if (ofService === undefined) {
    return ofImage === undefined ? undefined : { ...defaults, ...ofImage };
  }
  if (isWhole(ofService)) return ofService;
  return ofImage === undefined ? undefined : { ...ofService, test: ofImage.test };
}

/** True when a service's healthcheck needs nothing of its image's. */
export function isWhole({ test, probe }: Healthcheck): boolean {
  return test.length > 0 || probe !== undefined;
}
