import { isDeepStrictEqual } from "node:util";
import type { ExecutionContext } from "ava";
import type { StatusReport } from "../../agent/control/control.ts";
import { checkUntouched, settled } from "./checks.ts";
import type { CrashHost } from "./crash-host.ts";
import type { Kill } from "./crash-plan.ts";
import { type Living, livingContainers, storedImages } from "./inventory.ts";

export type Disturbed = {
  readonly t: ExecutionContext;
  readonly host: CrashHost;
  readonly kill: Kill | null;
  readonly label: string;
};

/** What has no good verdict yet is nothing to go back to. */
export function isHealthy({ apps }: StatusReport): boolean {
  return apps.every(({ verdict }) => verdict === "healthy");
}

/** From a broken revision to its verdict and back; true when the agent was killed on the way. */
export async function rollBack({ t, host, kill, label }: Disturbed): Promise<boolean> {
  await host.arm(kill);
  const before = livingContainers(host);
  const sha = await host.commitAgain("broken");
  const isBack = ({ quarantined, apps }: StatusReport) =>
    quarantined.includes(sha) &&
    apps.some(({ name, verdict }) => name === "shop" && verdict === "rolled-back");
  const converged = () => host.converged(isBack);
  const wasKilled = !(kill === null ? await converged() : await host.survived(isBack));
  if (wasKilled) {
    host.start(null);
    t.true(await converged(), label);
  }
  // `web` is as it was, and yet another container: what was good is made anew.
  t.deepEqual(withoutWeb(livingContainers(host)), withoutWeb(before), label);
  return wasKilled;
}

/** To the other one of two revisions, without a pause of `web`; true when the agent was killed on the way. */
export async function replace({
  t,
  host,
  kill,
  label,
  side,
}: Disturbed & { readonly side: "left" | "right" }): Promise<boolean> {
  await host.arm(kill);
  const before = livingContainers(host);
  await host.commitAgain(side);
  const wasKilled = !(kill === null
    ? await host.converged(isHealthy)
    : await host.survived(isHealthy));
  if (wasKilled) {
    host.start(null);
    t.true(await host.converged(isHealthy), label);
  }
  t.deepEqual(withoutWeb(livingContainers(host)), withoutWeb(before), label);
  return wasKilled;
}

function withoutWeb(list: readonly Living[]): readonly Living[] {
  return list.filter(({ name }) => name !== "shop-web-1");
}

/** Until nothing is left to collect of what `loadSpareImage` brought; true when the agent was killed on the way. */
export async function collect({ t, host, kill, label }: Disturbed): Promise<boolean> {
  await host.arm(kill);
  const before = livingContainers(host);
  const report = await host.pruneImages();
  const wasKilled = report === undefined || (kill !== null && !(await host.disarmed()));
  if (wasKilled) {
    host.start(null);
    t.true(await host.converged(), label);
    await host.pruneImages();
  }
  checkUntouched(t, before, livingContainers(host), label);
  t.is(livingContainers(host).length, before.length, label);
  return wasKilled;
}

export async function checkImages(
  t: ExecutionContext,
  host: CrashHost,
  options: { readonly expected: ReturnType<typeof storedImages>; readonly label: string },
): Promise<void> {
  const { expected, label } = options;
  const found = await settled(
    async () => storedImages(host),
    (images) => isDeepStrictEqual(images, expected),
  );
  t.deepEqual(found, expected, label);
}
