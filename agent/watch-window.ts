import type { WantedApp } from "./wanted-state.ts";

/** How long a rollout is watched for signs of failure once all of it is ready. */
export type WatchWindow = {
  /** The verdict waits for so long. */
  readonly beforeVerdictMs: number;
  /** A good verdict is still taken back for so long. */
  readonly afterVerdictMs: number;
};

/** Where the manifest says nothing the verdict does not wait, but is taken back for this long. */
const afterVerdictMs = 10_000;

export function monitorOf(_app: WantedApp): WatchWindow {
  return { beforeVerdictMs: 0, afterVerdictMs };
}
