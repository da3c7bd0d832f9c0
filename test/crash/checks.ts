import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import type { ExecutionContext } from "ava";
import type { CrashHost } from "./crash-host.ts";
import { type Living, leftovers, livingContainers, takeInventory } from "./inventory.ts";
import { reloadedContainer, reloadedFile } from "./scenario.ts";

/** Until what differs is taken for wrong. */
const settleMs = 60_000;

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
    file: fileSeen(host),
    ...(await takeInventory(host)),
  };
}

/** What the container that goes on finds in its file. */
function fileSeen(host: CrashHost): string | undefined {
  const living = livingContainers(host).find(({ name }) => name === reloadedContainer);
  if (living === undefined) return undefined;
  try {
    return readFileSync(`/proc/${living.pid}/root${reloadedFile}`, "utf8");
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

/** The host is where an undisturbed run ends, and stays there. */
export async function checkEndState(
  t: ExecutionContext,
  host: CrashHost,
  options: {
    readonly expected: unknown;
    readonly label: string;
    /** The container that is replaced while it still runs. */
    readonly overlapping?: string;
  },
): Promise<void> {
  const { expected, label, overlapping } = options;
  const found = await settled(
    () => endState(host),
    (state) => isDeepStrictEqual(state, expected),
  );
  t.deepEqual(found, expected, label);
  const duplicates = host.duplicates.filter((name) => name !== overlapping);
  t.deepEqual(duplicates, [], `${label}: two containers of one replica ran at once`);
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
    if (now === undefined) continue;
    const { specDigest } = container;
    if (now.specDigest !== specDigest && container.name !== reloadedContainer) continue;
    t.deepEqual({ ...now, specDigest }, container, `${label}: ${container.name} was touched`);
  }
}

/** What is taken once it is done, or at last when it is taken for stuck. */
export async function settled<T>(
  take: () => Promise<T>,
  isDone: (state: T) => boolean,
): Promise<T> {
  const deadline = Date.now() + settleMs;
  for (;;) {
    const state = await take();
    if (isDone(state) || Date.now() > deadline) return state;
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
}
