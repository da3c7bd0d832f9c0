import { hasSameContent } from "../../manifests/canonical-json.ts";
import type { App, DesiredState, Service } from "../../manifests/desired-state.ts";
import type { Image, ImageStore } from "../../runtime/images/image-store.ts";
import type { PullState } from "../images/image-puller.ts";
import type { ActualState } from "../observe.ts";
import { wantedApp } from "../plan/wanted-state.ts";
import type { MaintenanceWindow } from "../settings/schedule.ts";
import { isWindowOpen, nextWindowAtMs } from "../settings/schedule.ts";
import type { EnforcedApp } from "../store/rollout-store.ts";
import { type CapacityHost, capacityProblems } from "./capacity.ts";
import { type Enforcement, isSameApp } from "./enforcement.ts";
import { hostProblems, type PreflightHost, portClashes } from "./preflight.ts";
import { takeOverProblems } from "./take-over.ts";

/**
 * Why an app of the wanted revision is not held yet. `order`: others come before it. `window`, `suspended`: it would be,
 * but changes are not allowed now.
 */
export type Gate = {
  readonly kind: "waiting" | "stalled" | "order" | "window" | "suspended";
  readonly reason: string;
};

export type PromotionInput = {
  readonly enforcement: Enforcement;
  readonly actual: ActualState;
  readonly images: Pick<ImageStore, "find">;
  readonly requestPull: (reference: string) => PullState;
  /** True when the image was pulled since the newest revision came. */
  readonly isFresh: (reference: string) => boolean;
  readonly host: PreflightHost & CapacityHost;
  /** What is held of an app was found healthy. */
  readonly isHealthy: (app: string) => boolean;
  readonly windows: readonly MaintenanceWindow[];
  readonly nowMs: number;
};

export type Promotion = {
  /** Apps whose definition changed, and are held from now on. */
  readonly promoted: readonly EnforcedApp[];
  readonly removed: readonly string[];
  /** App name -> what it waits for. */
  readonly gates: ReadonlyMap<string, Gate>;
};

/**
 * Moves every app that is ready from the wanted revision into force, all of them at once: fail before mutate. Ready
 * means: a window is open, all images are here, its ports are free and its bind sources exist.
 */
export async function promoteApps(input: PromotionInput): Promise<Promotion> {
  const { enforcement, windows, nowMs } = input;
  const desired = enforcement.desired();
  const gates = new Map<string, Gate>();
  if (desired === undefined || !enforcement.isBehind()) {
    return { promoted: [], removed: [], gates };
  }
  const { unchanged, candidates } = sortApps(input, desired);
  const open = isWindowOpen(windows, nowMs);
  for (const candidate of candidates) {
    const gate = await gateOf(input, candidate, open);
    if (gate !== undefined) gates.set(candidate.enforced.app.name, gate);
  }
  const names = new Set(desired.apps.map(({ name }) => name));
  const leaving = enforcement
    .apps()
    .filter(({ app: { name } }) => !names.has(name) && !enforcement.isByHand(name));
  const goes = open ? leaving.filter(({ app }) => !enforcement.isSuspended(app.name)) : [];
  let removed = goes.map(({ app }) => app.name);
  let ready = withoutClashes({ input, candidates, gates, removed });
  const holdUp = desired.atomic === "revision" ? firstHoldUp(gates) : undefined;
  if (holdUp !== undefined) {
    const reason = `waiting for app ${holdUp} of the same revision`;
    for (const { app } of ready) gates.set(app.name, { kind: "waiting", reason });
    [ready, removed] = [[], []];
  }
  enforcement.promote({ begun: ready, renamed: unchanged, removed, nowMs });
  if (gates.size === 0 && removed.length === leaving.length) enforcement.settle();
  return { promoted: ready, removed, gates };
}

function sortApps(
  input: PromotionInput,
  desired: DesiredState,
): { readonly unchanged: readonly EnforcedApp[]; readonly candidates: readonly Candidate[] } {
  const unchanged: EnforcedApp[] = [];
  const candidates: Candidate[] = [];
  for (const app of desired.apps) {
    if (input.enforcement.quarantine(app.name) !== undefined) continue;
    const held = input.enforcement.app(app.name);
    const isByHand = input.enforcement.isByHand(app.name);
    if (
      held === undefined ||
      isByHand ||
      !isSameApp(held.app, app) ||
      hasMoved(held, input.images)
    ) {
      candidates.push(candidateApp({ ...input, app, desired, held, isByHand }));
    } else if (held.revision !== desired.revision) {
      unchanged.push({ ...held, app, revision: desired.revision });
    }
  }
  return { unchanged, candidates };
}

/** A tag that one of its services watches names another image here than the one that is held. */
function hasMoved({ app, images }: EnforcedApp, here: Pick<ImageStore, "find">): boolean {
  return app.services.some(({ name, image, watchTagMs }) => {
    const found = watchTagMs === undefined ? undefined : here.find(image);
    return found !== undefined && found.digest !== images[name];
  });
}

/** The first app that is not ready for another reason than the order of the apps. */
function firstHoldUp(gates: ReadonlyMap<string, Gate>): string | undefined {
  return [...gates].find(([, { kind }]) => kind !== "order")?.[0];
}

/**
 * Looks at ports as they will be: apps that change together may hand a port from one to the other. An app that
 * clashes keeps its old definition, which may in turn clash with another's new one: hence the loop.
 */
function withoutClashes(options: {
  readonly input: PromotionInput;
  readonly candidates: readonly Candidate[];
  readonly gates: Map<string, Gate>;
  readonly removed: readonly string[];
}): EnforcedApp[] {
  const { input, candidates, gates, removed } = options;
  const expanded = new Map(
    candidates.map(({ enforced }) => [enforced.app.name, wantedApp(enforced)] as const),
  );
  for (;;) {
    const held = input.enforcement.wanted().apps.filter(({ name }) => !removed.includes(name));
    const ready = [...expanded.values()].filter(({ name }) => !gates.has(name));
    const staying = held.filter(({ name }) => !ready.some((app) => app.name === name));
    const clash = ready
      .map((app) => ({ app, problems: portClashes(app, [...staying, ...ready]) }))
      .find(({ problems }) => problems.length > 0);
    if (clash === undefined) break;
    gates.set(clash.app.name, { kind: "stalled", reason: clash.problems.join("; ") });
  }
  return candidates.map(({ enforced }) => enforced).filter(({ app }) => !gates.has(app.name));
}

export type Candidate = {
  readonly enforced: EnforcedApp;
  /** References that have no digest yet. */
  readonly unresolved: readonly string[];
  /** Those of them that are never pulled. */
  readonly absent: readonly string[];
};

/** The app as it would be held: services that did not change keep their image's digest, others resolve anew. */
export function candidateApp(options: {
  readonly app: App;
  readonly desired: DesiredState;
  readonly held: EnforcedApp | undefined;
  readonly images: Pick<ImageStore, "find">;
  readonly isFresh?: (reference: string) => boolean;
  readonly nowMs?: number;
  /** What is held was run by hand: it keeps its images as long as they are called the same. */
  readonly isByHand?: boolean;
}): Candidate {
  const { app, desired, held, images, isFresh = () => true, nowMs = 0, isByHand } = options;
  const digests: Record<string, string> = {};
  const unresolved = new Set<string>();
  const absent = new Set<string>();
  for (const service of app.services) {
    const before = held?.app.services.find(({ name }) => name === service.name);
    const pinned = held?.images[service.name];
    const same =
      before !== undefined &&
      (isByHand === true ? before.image === service.image : hasSameContent(before, service));
    const isStale = isDue(service, images.find(service.image), nowMs) && !isFresh(service.image);
    const known = isStale ? undefined : images.find(service.image)?.digest;
    const isPinned = same && pinned !== undefined && service.watchTagMs === undefined;
    const digest = isPinned ? pinned : (known ?? (same ? pinned : undefined));
    if (digest === undefined) unresolved.add(service.image);
    if (digest === undefined && service.pullPolicy === "never") absent.add(service.image);
    if (digest !== undefined) digests[service.name] = digest;
  }
  return {
    enforced: { app, revision: desired.revision, images: digests },
    unresolved: [...unresolved],
    absent: [...absent],
  };
}

/** The policy asks for the tag again; whether that was done for this revision is another question. */
function isDue(service: Service, image: Image | undefined, nowMs: number): boolean {
  const { pullPolicy } = service;
  if (typeof pullPolicy !== "object") return pullPolicy === "always";
  return image !== undefined && nowMs - image.pulledAtMs >= pullPolicy.everyMs;
}

/** What a registry that limits the rate asked for. */
function pauseOf(state: PullState): string {
  const waiting = state.kind === "pulling" ? state.meter.summary().waiting : null;
  if (waiting === null) return "";
  return ` (${waiting.host} limits the rate of requests until ${new Date(waiting.untilMs).toISOString()})`;
}

async function gateOf(
  input: PromotionInput,
  candidate: Candidate,
  open: boolean,
): Promise<Gate | undefined> {
  // Before its images are asked for: what is left alone pulls nothing.
  if (input.enforcement.isSuspended(candidate.enforced.app.name)) {
    return { kind: "suspended", reason: "changes wait because it is suspended by hand" };
  }
  if (candidate.absent.length > 0) {
    const reason = `the image ${candidate.absent.join(", ")} is not here, and pull_policy: never keeps it from being pulled: load it, or use missing`;
    return { kind: "stalled", reason };
  }
  const pulls = candidate.unresolved.map((reference) => ({
    reference,
    state: input.requestPull(reference),
  }));
  for (const { state } of pulls) {
    if (state.kind === "failed") {
      return { kind: "stalled", reason: `${state.error}; it is tried again by itself` };
    }
  }
  if (pulls.length > 0) {
    const names = pulls.map(({ reference }) => reference).join(", ");
    const pause = pulls.map(({ state }) => pauseOf(state)).join("");
    return { kind: "waiting", reason: `waiting for the image ${names} to be pulled${pause}` };
  }
  const { app } = candidate.enforced;
  const revision = input.enforcement.desired()?.apps ?? [];
  const wanted = wantedApp(candidate.enforced);
  const problems = [
    ...takeOverProblems(wanted, input.enforcement),
    ...(await hostProblems(wanted, input.actual, input.host)),
    ...(await capacityProblems(app, revision, input.host)),
  ];
  if (problems.length > 0) return { kind: "stalled", reason: problems.join("; ") };
  if (!open) {
    const opensAt = new Date(nextWindowAtMs(input.windows, input.nowMs)).toISOString();
    return { kind: "window", reason: `waiting for the maintenance window that opens ${opensAt}` };
  }
  return orderGate(input, app);
}

/** `after`: whoever comes before has reached the wanted revision and is healthy there. */
function orderGate({ enforcement, isHealthy }: PromotionInput, app: App): Gate | undefined {
  for (const name of app.after ?? []) {
    const before = enforcement.desired()?.apps.find((other) => other.name === name);
    if (before === undefined) continue;
    const quarantine = enforcement.quarantine(name);
    if (quarantine !== undefined) {
      const reason = `app ${name}, which comes before it, is held back: ${quarantine.reason}`;
      return { kind: "stalled", reason };
    }
    const held = enforcement.app(name);
    if (held !== undefined && isSameApp(held.app, before) && isHealthy(name)) continue;
    return {
      kind: "order",
      reason: `waiting for app ${name}, which comes before it, to be healthy`,
    };
  }
  return undefined;
}
