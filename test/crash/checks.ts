import { isDeepStrictEqual } from "node:util";
import type { ExecutionContext } from "ava";
import type { CrashHost } from "./crash-host.ts";
import { type Living, leftovers, takeInventory } from "./inventory.ts";
import type { Revision } from "./scenario.ts";

/** What an undisturbed run ends with, for each revision; filled by the first host that gets there. */
export type EndStates = Map<Revision, unknown>;

/** How a host looks from outside and inside once a revision runs; waits while something is still being tidied up. */
export async function endState(host: CrashHost): Promise<Record<string, unknown>> {
  const ps = await host.ps();
  return {
    ps: ps
      .map(({ name, state, health, restarts, image, ports, byHand }) => ({
        name,
        state,
        health,
        restarts,
        image,
        // Hosts publish different ports.
        ports: ports.map((port) => ({ ...port, hostPort: 0 })),
        byHand,
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    plan: (await host.plan()).steps,
    ...(await takeInventory(host)),
  };
}

/** The host is where an undisturbed run ends, and stays there. */
export async function checkEndState(
  t: ExecutionContext,
  host: CrashHost,
  options: { readonly expected: unknown; readonly label: string },
): Promise<void> {
  const { expected, label } = options;
  const found = await settled(
    () => endState(host),
    (state) => isDeepStrictEqual(state, expected),
  );
  t.deepEqual(found, expected, label);
  t.deepEqual(host.duplicates, [], `${label}: two containers of one replica ran at once`);
}

export async function checkNothingLeft(
  t: ExecutionContext,
  host: CrashHost,
  label: string,
): Promise<void> {
  const isEmpty = (state: object) =>
    Object.values(state).every((part: object) => Object.keys(part).length === 0);
  const found = await settled(() => leftovers(host), isEmpty);
  const left = Object.entries(found).filter(([, part]) => Object.keys(part).length > 0);
  t.deepEqual(left, [], label);
}

/** Whoever lived before, and is still wanted as it was, is the same process. */
export function checkUntouched(
  t: ExecutionContext,
  before: readonly Living[],
  after: readonly Living[],
  label: string,
): void {
  for (const container of before) {
    const now = after.find(({ name }) => name === container.name);
    if (now === undefined || now.specDigest !== container.specDigest) continue;
    t.deepEqual(now, container, `${label}: ${container.name} was touched`);
  }
}

async function settled<T>(take: () => Promise<T>, isDone: (state: T) => boolean): Promise<T> {
  const deadline = Date.now() + 6000;
  for (;;) {
    const state = await take();
    if (isDone(state) || Date.now() > deadline) return state;
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
}
