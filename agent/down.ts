import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { detectCgroups } from "../runtime/cgroups/cgroup-host.ts";
import { endStrays, findStrays, type Stray } from "../runtime/cgroups/stray-cgroups.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { systemClock } from "./clock.ts";
import { createLog } from "./log.ts";
import { actualState } from "./observe.ts";
import { openStores, type Stores } from "./open-stores.ts";
import { diffState } from "./plan/diff.ts";
import { planSteps } from "./plan/plan.ts";
import { applySteps, type Executors } from "./rollout/apply.ts";
import type { StepTrace } from "./rollout/step-trace.ts";
import { claimRoot } from "./store/root-owner.ts";

const parallelMax = 8;

/**
 * Stops containers (dependents first), removes everything that the instance owns in the kernel, and forgets which
 * apps are held. Images stay; volumes stay unless asked for. Containers under the instance's name that the stores know
 * nothing of are ended too where `strays` says so; else they are left, and this rejects once the rest is done.
 */
export async function takeDown(options: {
  readonly runtime: Runtime;
  readonly stores: Pick<Stores, "state" | "live">;
  readonly instance: string;
  readonly volumes: boolean;
  readonly strays: boolean;
  readonly abort: AbortSignal;
  readonly trace?: StepTrace | undefined;
}): Promise<void> {
  const { runtime, stores, instance, volumes, abort, trace } = options;
  const actual = actualState(await runtime.observe(), {
    health: () => "none",
    restarts: () => ({ count: 0, backoffMs: 0 }),
    restartPending: () => false,
    lostAtBoot: new Set(),
    startedEarly: () => false,
    byHand: new Map(),
    completed: new Map(),
  });
  const { cgroups } = runtime;
  const known = new Set(actual.containers.map(({ id }) => id));
  const strays = findStrays(cgroups, { parent: `/${instance}`, known });
  if (options.strays) await endStrays(cgroups, strays);
  const wanted = { apps: [] };
  const difference = { ...diffState(wanted, actual, systemClock.now()), drift: [] };
  await applySteps({
    steps: planSteps({ difference, wanted, actual, newContainerId }),
    executors: removingExecutors(runtime),
    live: stores.live,
    clock: systemClock,
    parallelMax,
    abort,
    // What could not be removed in order is removed, or reported, by destroy.
    onResult: () => {},
    trace,
  });
  await runtime.destroy({ volumes, abort });
  const { state, live } = stores;
  live.forgetContainersBut(new Set());
  for (const { id } of live.openIntents()) live.endIntent(id);
  state.setEnforcedApps(
    [],
    state.enforcedApps().map(({ app }) => app.name),
  );
  for (const { name } of state.byHandMarks()) state.unmarkByHand(name);
  for (const name of state.completed().keys()) state.unmarkCompleted(name);
  state.forgetFact("revision.running");
  if (!options.strays && strays.length > 0) throw straysError(instance, strays);
}

function straysError(instance: string, strays: readonly Stray[]): Error {
  const ids = strays.map(({ id }) => id.slice(0, 12)).join(", ");
  return new Error(
    `cannot take all of ${instance} down because containers of that name run which this data directory knows nothing of (${ids}): ` +
      "look for the --root that they belong to, or say --strays to kill them",
  );
}

/** `berth down` where no agent runs. */
export async function downWithoutAgent(options: {
  readonly libDir: string;
  readonly runDir: string;
  readonly instance: string;
  readonly volumes: boolean;
  readonly strays: boolean;
}): Promise<void> {
  const { libDir, runDir, instance, volumes } = options;
  if (!existsSync(join(libDir, "state.db"))) {
    const strays = findStrays(detectCgroups(), { parent: `/${instance}`, known: new Set() });
    if (strays.length === 0) return;
    if (!options.strays) throw straysError(instance, strays);
  }
  claimRoot(libDir, instance);
  const log = createLog({
    level: "warn",
    format: "logfmt",
    write: (line) => process.stderr.write(line),
    now: Date.now,
  });
  const stores = openStores({ libDir, runDir, now: Date.now });
  try {
    const { openRuntime } = await import("../runtime/open-runtime.ts");
    const runtime = await openRuntime({
      libDir,
      runDir,
      instance,
      state: stores.stateDatabase,
      live: stores.liveDatabase,
      log,
      addressPool: "10.210.0.0/16",
      now: Date.now,
    });
    const abort = new AbortController().signal;
    await takeDown({ runtime, stores, instance, volumes, strays: options.strays, abort });
  } finally {
    stores.close();
  }
}

/** A plan for "nothing is wanted" only ever removes. */
function removingExecutors(runtime: Runtime): Executors {
  return {
    "create-network": never,
    "create-volume": never,
    "await-condition": never,
    "create-container": never,
    "start-container": never,
    "await-ready": never,
    "hand-over": never,
    "drain-container": never,
    "reload-container": never,
    repair: never,
    "remove-network": ({ network }) => runtime.removeNetwork(network),
    "stop-container": async ({ id, graceMs }, { abort }) => {
      await runtime.stopContainer(id, { graceMs, abort });
    },
    "remove-container": ({ id }) => runtime.removeContainer(id),
  };
}

function never(): Promise<void> {
  return Promise.reject(new Error("cannot make anything on the way down"));
}

function newContainerId(): string {
  return randomBytes(32).toString("hex");
}
