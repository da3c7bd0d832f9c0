import type { WantedApp } from "../plan/wanted-state.ts";

/** How long a rollout is watched for signs of failure once all of it is ready. */
export type WatchWindow = {
  /** The verdict waits for so long: the longest `deploy.update_config.monitor` of the app. */
  readonly beforeVerdictMs: number;
  /** A good verdict is still taken back for so long. */
  readonly afterVerdictMs: number;
};

/** Where the manifest says nothing the verdict does not wait, but is taken back for this long. */
const afterVerdictMs = 10_000;

export function monitorOf({ containers }: WantedApp): WatchWindow {
  const monitors = containers.map(({ service }) => service.deploy?.update?.monitorMs ?? 0);
  return { beforeVerdictMs: Math.max(0, ...monitors), afterVerdictMs };
}
