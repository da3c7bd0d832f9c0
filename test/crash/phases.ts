import { isDeepStrictEqual } from "node:util";
import type { ExecutionContext } from "ava";
import type { StatusReport } from "../../agent/control/control.ts";
import { checkUntouched, endState, settled } from "./checks.ts";
import type { CrashHost } from "./crash-host.ts";
import type { Kill } from "./crash-plan.ts";
import { damage, repairable } from "./damage.ts";
import { type Living, livingContainers, storedImages } from "./inventory.ts";
import type { Revision } from "./scenario.ts";

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

/** Brings a host up to a revision, and says how it looks then. */
export async function bringUp(
  { t, host }: Pick<Disturbed, "t" | "host">,
  revision: Revision = "deploy",
): Promise<unknown> {
  await host.moveTo(revision);
  host.start(null);
  t.true(await host.converged(isHealthy));
  return endState(host);
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

/** To a revision whose image has to be pulled; true when the agent was killed on the way. `unpull` goes back. */
export async function pull({ t, host, kill, label }: Disturbed): Promise<boolean> {
  await host.arm(kill);
  const before = livingContainers(host);
  await host.commitAgain("pulled");
  const wasKilled = !(kill === null
    ? await host.converged(isHealthy)
    : await host.survived(isHealthy));
  if (wasKilled) {
    host.start(null);
    t.true(await host.converged(isHealthy), label);
  }
  const after = livingContainers(host);
  t.is(after.length, before.length + 1, label);
  checkUntouched(t, before, after, label);
  return wasKilled;
}

export async function unpull({ t, host, label }: Omit<Disturbed, "kill">): Promise<void> {
  // The image of an app that is gone is kept for one revision.
  for (let turn = 0; turn < 2; turn += 1) {
    await host.commitAgain("deploy");
    t.true(await host.converged(isHealthy), label);
  }
  await host.pruneImages();
}

/** From damage by hand to what was there before; true when the agent was killed on the way. */
export async function repair({ t, host, kill, label }: Disturbed): Promise<boolean> {
  await host.arm(kill);
  const before = livingContainers(host);
  const whole = await repairable(host);
  await damage(host);
  t.notDeepEqual(await repairable(host), whole, label);
  const report = host.sync();
  const isWhole = async () => isDeepStrictEqual(await repairable(host), whole);
  await settled(isWhole, (isDone) => isDone || !host.isAlive);
  const wasKilled = (await report) === undefined || (kill !== null && !(await host.disarmed()));
  if (wasKilled) {
    host.start(null);
    t.true(await host.converged(isHealthy), label);
  }
  const found = await settled(
    () => repairable(host),
    (state) => isDeepStrictEqual(state, whole),
  );
  t.deepEqual(found, whole, label);
  t.deepEqual(livingContainers(host), before, label);
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
