import { updatePolicyOf } from "../plan/update-policy.ts";
import type { WantedApp } from "../plan/wanted-state.ts";

/** How long a rollout is watched for signs of failure once all of it is ready. */
export type WatchWindow = {
  /** The verdict waits for so long: the longest `monitor` of the app's policies, 10 s where there are bounds. */
  readonly beforeVerdictMs: number;
  /** A good verdict is still taken back for so long. */
  readonly afterVerdictMs: number;
};

/** Where the manifest says nothing the verdict does not wait, but is taken back for this long. */
const afterVerdictMs = 10_000;

/** Bounds are judged by what is used in this time. */
const boundsMs = 10_000;

export function monitorOf(app: WantedApp): WatchWindow {
  const monitors = app.containers.map(({ service }) =>
    Math.max(
      updatePolicyOf(app, service)?.monitorMs ?? 0,
      service.bounds === undefined ? 0 : boundsMs,
    ),
  );
  return { beforeVerdictMs: Math.max(0, ...monitors), afterVerdictMs };
}
