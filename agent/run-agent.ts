import { randomBytes } from "node:crypto";
import { access, statfs } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";
import { type AgentMetrics, createAgentMetrics } from "../metrics/agent-metrics.ts";
import { createContainerMetrics } from "../metrics/container-metrics.ts";
import { hostFeatures } from "../runtime/doctor.ts";
import { openRuntime } from "../runtime/open-runtime.ts";
import type { Log, Runtime } from "../runtime/runtime.ts";
import { startApi } from "./api/start-api.ts";
import { berthVersion } from "./berth-version.ts";
import { systemClock } from "./clock.ts";
import { readContainerLabels } from "./container-labels.ts";
import { createControl } from "./control/create-control.ts";
import { removeEndedRuns } from "./control/ended-runs.ts";
import { createMetricTargets } from "./control/metric-targets.ts";
import { type Core, createCore } from "./core.ts";
import { describeListener, readHostListeners } from "./host-listeners.ts";
import { createLog } from "./log.ts";
import { createMeters } from "./meters.ts";
import { createNotifier } from "./notify/create-notifier.ts";
import { openStores, type Stores } from "./open-stores.ts";
import { admitsBind } from "./policy/admit-bind.ts";
import type { Policy } from "./policy/policy.ts";
import { ReconcileLoop } from "./reconcile.ts";
import { recover } from "./recover.ts";
import type { StepTrace } from "./rollout/step-trace.ts";
import { SecretKeeper } from "./secrets/secret-keeper.ts";
import { createServiceManager } from "./service-manager.ts";
import type { AgentOptions } from "./settings/agent-options.ts";
import { loadSettings, type Settings } from "./settings/settings.ts";
import { changedFields, type WatchedSettings, watchSettings } from "./settings/watched-settings.ts";
import { openSource, SourceWatch } from "./source/agent-source.ts";
import { SourceLoop } from "./source/source-loop.ts";
import { runRevision } from "./store/rollout-store.ts";
import { claimRoot } from "./store/root-owner.ts";
import { createTreeStore } from "./trees/tree-store.ts";
import { createHookReceiver, type HookReceiver } from "./webhook/hook-receiver.ts";

/**
 * The agent of one host, until the signal (or `down`). Containers are left running. Rejects when it cannot start:
 * another agent holds the directories, the host lacks a feature, the repository's address is not allowed.
 */
export async function runAgent(
  options: AgentOptions,
  abort: AbortSignal,
  observers: Observers = {},
): Promise<void> {
  const settings = await loadSettings(options);
  const policy = { current: settings.policy };
  const identityFile = { current: settings.identityFile };
  const log = createLog({
    ...settings.log,
    write: (line) => process.stderr.write(line),
    now: Date.now,
  });
  const closers = new Closers(log);
  try {
    claimRoot(options.libDir, options.instance);
    const stores = openStores({ ...options, now: Date.now });
    closers.add(() => stores.close());
    await requireFeatures(options.libDir);
    const secrets = new SecretKeeper({
      libDir: options.libDir,
      identityFile: () => identityFile.current,
      state: stores.state,
    });
    const metrics = createAgentMetrics({ version: berthVersion });
    const opened = { options, settings, policy, secrets, stores, log, metrics };
    const runtime = await openAgentRuntime(opened);
    closers.add(() => runtime.close());
    await serve({ ...opened, identityFile, runtime, closers, abort, observers });
  } finally {
    await closers.close();
    log.info("agent ended");
  }
}

/** Who watches the agent from within its process. */
type Observers = { readonly trace?: StepTrace | undefined };

type Parts = {
  readonly options: AgentOptions;
  readonly settings: Settings;
  /** The policy as it is now; the runtime is older than the watch over the settings. */
  readonly policy: { current: Policy };
  readonly identityFile: { current: string };
  readonly secrets: SecretKeeper;
  readonly stores: Stores;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly closers: Closers;
  readonly abort: AbortSignal;
  readonly observers: Observers;
  readonly metrics: AgentMetrics;
};

async function serve(parts: Parts): Promise<void> {
  const { options, settings, stores, runtime, log, closers, abort, metrics } = parts;
  const sourcePlace = { libDir: options.libDir, state: stores.state };
  const mirror = openSource(settings, sourcePlace);
  const watched = watchSettings({
    agentOptions: options,
    initial: settings,
    log,
    onChange: (now, before) => {
      parts.policy.current = now.policy;
      parts.identityFile.current = now.identityFile;
      void sourceWatch.changed(now, before);
      if (changedFields(before, now).includes("notifications")) {
        void notifier.retarget(now.notifications);
      }
      core.wake("settings changed");
    },
  });
  closers.add(() => watched.close());
  const core = createAgentCore(parts, metrics, watched);
  closers.add(() => core.close());
  await recover(core, { rebooted: stores.rebooted });
  const notifier = createNotifier(core);
  closers.add(() => notifier.close());
  await notifier.retarget(settings.notifications);
  const loop = new ReconcileLoop(core);
  const source = new SourceLoop(core, mirror);
  const sourceWatch = new SourceWatch({ loop: source, place: sourcePlace, log });
  sourceWatch.watch(mirror);
  closers.add(() => sourceWatch.close());
  const containerMetrics = createContainerMetrics({
    onRestart: (cause) => log.warn("metrics thread was started anew", { error: cause }),
  });
  closers.add(() => containerMetrics.close());
  const ending = new AbortController();
  const end = (reason: string) => ending.abort(new Error(reason));
  const controlContext = {
    core,
    loop,
    source,
    containerMetrics,
    metricTargets: createMetricTargets({ loop, cgroups: runtime.cgroups }),
    end,
    instance: options.instance,
    renderAgentMetrics: async () => {
      metrics.setDisk(await runtime.images.disk());
      return metrics.render();
    },
    beginning: new Set<string>(),
    removals: new Map<string, Promise<void>>(),
  };
  const control = createControl(controlContext);
  const { listen, allowedHosts } = settings;
  const hook = createHook({ settings, core, source, metrics });
  const socketPath = join(options.runDir, "agent.sock");
  const api = await startApi({ control, socketPath, listen, allowedHosts, hook, log });
  closers.add(() => api.close());
  const stop = AbortSignal.any([abort, ending.signal]);
  removeEndedRuns(controlContext, stop);
  const loops = [loop.run(stop), source.run(stop), core.collector.run(stop), core.tags.run(stop)];
  closers.add(() => Promise.all(loops));
  const manager = createServiceManager({ runtime, log, environment: process.env });
  await manager.ready();
  log.info("agent serves", { repo: mirror.displayUrl, ref: mirror.ref, port: api.port });
  await whenAborted(stop);
  await manager.stopping();
}

function createHook({
  settings: { webhook },
  core: { events, log, state },
  source,
  metrics,
}: {
  readonly settings: Settings;
  readonly core: Core;
  readonly source: SourceLoop;
  readonly metrics: AgentMetrics;
}): HookReceiver | undefined {
  if (webhook === null) return undefined;
  return createHookReceiver({
    secretFile: webhook.secretFile,
    now: Date.now,
    isNew: (mark) => state.takeDelivery(mark, Date.now()),
    onHook(sender) {
      metrics.hooked("accepted");
      const message = `a webhook of the kind ${sender} says that the source moved`;
      events.record({ kind: "source.hook", target: sender, message });
      source.hint();
    },
    onRefused() {
      metrics.hooked("refused");
      log.debug("webhook refused");
    },
  });
}

function createAgentCore(parts: Parts, metrics: AgentMetrics, watched: WatchedSettings): Core {
  const { stores, runtime, log } = parts;
  return createCore({
    runtime,
    log,
    state: stores.state,
    live: stores.live,
    events: stores.events,
    clock: systemClock,
    random: Math.random,
    newContainerId: () => randomBytes(32).toString("hex"),
    host: {
      listeners: readHostListeners,
      holderOf: describeListener,
      pathExists: (path) =>
        access(path).then(
          () => true,
          () => false,
        ),
      memoryBytes: totalmem,
      disk: async () => {
        const { bavail, bsize, ffree, files } = await statfs(parts.options.libDir);
        // Some file systems, such as btrfs, count no files.
        return { bytesFree: bavail * bsize, filesFree: files === 0 ? Infinity : ffree };
      },
    },
    trees: createTreeStore(parts.options.libDir),
    secrets: parts.secrets,
    meters: createMeters(metrics),
    settings: () => watched.current(),
    trace: parts.observers.trace,
  });
}

function openAgentRuntime({
  options,
  settings,
  policy,
  secrets,
  stores,
  log,
  metrics,
}: Pick<
  Parts,
  "options" | "settings" | "policy" | "secrets" | "stores" | "log" | "metrics"
>): Promise<Runtime> {
  const { libDir, runDir, instance } = options;
  return openRuntime({
    libDir,
    runDir,
    instance,
    log,
    state: stores.stateDatabase,
    live: stores.liveDatabase,
    addressPool: settings.addressPool,
    admitBind: ({ labels, ...mount }) =>
      readContainerLabels(labels)?.revision === runRevision || admitsBind(policy.current, mount),
    secretContent: (digest) => secrets.content(digest),
    metadataAddress: () => policy.current.metadataAddress,
    registries: settings.registries,
    imageMeters: metrics,
    imageTrust: () => policy.current.trust,
    now: Date.now,
  });
}

async function requireFeatures(libDir: string): Promise<void> {
  const missing = (await hostFeatures({ libDir })).filter(({ ok, required }) => required && !ok);
  if (missing.length === 0) return;
  const lines = missing.map(
    ({ name, detail, fix }) => `${name}: ${detail}; ${fix ?? "no fix known"}`,
  );
  throw new Error(`cannot start the agent because this host lacks ${lines.join(" | ")}`);
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Closes what was opened, the last first; a failure is logged and does not keep the rest open. */
class Closers {
  readonly #log: Log;
  readonly #closers: (() => unknown)[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  add(close: () => unknown): void {
    this.#closers.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.toReversed()) {
      try {
        await close();
      } catch (error) {
        this.#log.warn("cannot close a part of the agent", { error });
      }
    }
  }
}
