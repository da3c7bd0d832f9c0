import type { LentText } from "../../metrics/lent-text.ts";
import { takeDown } from "../down.ts";
import type { Control } from "./control.ts";
import { adoptByHand, namesByHand } from "./control-adopt.ts";
import type { ControlContext } from "./control-context.ts";
import { copyByHand } from "./control-copy.ts";
import { createImageControl } from "./control-images.ts";
import { inspectByName } from "./control-inspect.ts";
import { resolveContainer } from "./control-names.ts";
import { execIn, killByHand, restartByHand, startByHand, stopByHand } from "./control-operate.ts";
import { attachTo, listProcesses, pauseByHand, waitForEnd } from "./control-processes.ts";
import { createResourceControl } from "./control-resources.ts";
import { explain, readHistory, resume, rollBackByHand, suspend } from "./control-rollouts.ts";
import { removeByHand, runByHand, runInFront } from "./control-run.ts";
import { isReady, listContainers, planNow, readStatus, syncNow } from "./control-status.ts";
import { followEvents, sampleStats } from "./control-streams.ts";

/** What can be asked of this agent. */
export function createControl(context: ControlContext): Control {
  const { core } = context;
  return {
    ...createImageControl(context),
    ...createResourceControl(context),
    status: async () => readStatus(context),
    plan: () => planNow(context),
    sync: (abort, options = {}) => syncNow(context, abort, options),
    rollback: (options) => rollBackByHand(context, options),
    suspend: (app) => suspend(context, app),
    resume: (app) => resume(context, app),
    history: (app) => readHistory(context, app),
    why: (name) => explain(context, name),
    run: (request, watch) => runByHand(context, request, watch),
    runAttached: (request, owner, watch) => runInFront(context, { request, owner }, watch),
    remove: (name, options, abort) => removeByHand(context, name, options, abort),
    adopt: (name, options) => adoptByHand(context, name, options),
    byHand: () => namesByHand(context),
    ps: (options) => listContainers(context, options),
    inspect: (name) => inspectByName(context, name),
    stop: (name, options) => stopByHand(context, name, options),
    start: (name) => startByHand(context, name),
    restart: (name, options) => restartByHand(context, name, options),
    kill: (name, signal) => killByHand(context, name, signal),
    exec: (name, spec) => execIn(context, name, spec),
    attach: (name, options) => attachTo(context, name, options),
    copy: (name, spec) => copyByHand(context, name, spec),
    pause: (name) => pauseByHand(context, name, true),
    unpause: (name) => pauseByHand(context, name, false),
    wait: (name, abort) => waitForEnd(context, name, abort),
    top: (name) => listProcesses(context, name),
    logs: async (name, options) => {
      const { id } = resolveContainer(await core.view.observe(), name);
      return core.runtime.logs(id, options);
    },
    stats: (options) => sampleStats(context, options),
    events: (options) => followEvents(context, options),
    down: (options) => downAndEnd(context, options),
    metrics: () => renderMetrics(context),
    ready: async () => isReady(context),
  };
}

async function downAndEnd(
  context: ControlContext,
  options: Parameters<Control["down"]>[0],
): Promise<void> {
  const { core, loop, end, instance } = context;
  await loop.pause();
  try {
    core.close();
    const { runtime, trace } = core;
    await takeDown({ runtime, stores: core, instance, trace, ...options });
  } finally {
    // After the answer has been handed over.
    setImmediate(() => end("down"));
  }
}

async function renderMetrics(context: ControlContext): Promise<LentText> {
  const { containerMetrics, metricTargets, renderAgentMetrics } = context;
  containerMetrics.setTargets(metricTargets());
  const [containers, agent] = await Promise.all([containerMetrics.render(), renderAgentMetrics()]);
  return { ...containers, parts: [...containers.parts, Buffer.from(agent)] };
}
