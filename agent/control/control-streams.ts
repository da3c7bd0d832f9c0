import type { ContainerSample } from "../../metrics/container-target.ts";
import type { AgentEvent, ContainerStats, Control } from "./control.ts";
import type { ControlContext } from "./control-context.ts";
import { resolveContainer } from "./control-names.ts";

const queuedEventsMax = 10_000;

/** Recorded events, oldest first, then with `follow` live ones. A follower that is too slow loses the oldest. */
export async function* followEvents(
  { core }: ControlContext,
  options: { readonly follow: boolean; readonly abort: AbortSignal },
): AsyncGenerator<AgentEvent> {
  const { follow, abort } = options;
  const queue: AgentEvent[] = [];
  let wake: () => void = doNothing;
  const unsubscribe = core.events.subscribe((event) => {
    queue.push(event);
    if (queue.length > queuedEventsMax) queue.shift();
    wake();
  });
  const onAbort = () => wake();
  abort.addEventListener("abort", onAbort);
  try {
    const recorded = core.events.recorded();
    yield* recorded;
    // Subscribed before reading: what came in between is in both.
    const lastId = recorded.at(-1)?.id ?? 0;
    if (!follow) return;
    while (!abort.aborted) {
      const event = queue.shift();
      if (event !== undefined) {
        if (event.id > lastId) yield event;
        continue;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    unsubscribe();
    abort.removeEventListener("abort", onAbort);
  }
}

/** One list of figures every `intervalMs`, the first after one interval. */
export async function* sampleStats(
  context: ControlContext,
  options: Parameters<Control["stats"]>[0],
): AsyncGenerator<readonly ContainerStats[]> {
  const { core } = context;
  const { intervalMs, names, abort } = options;
  const observed = names === undefined ? undefined : await core.view.observe();
  const ids = observed && new Set(names?.map((name) => resolveContainer(observed, name).id));
  let before = await readSamples(context);
  while (!abort.aborted) {
    await core.clock.sleep(intervalMs, abort).catch(() => {});
    if (abort.aborted) return;
    const now = await readSamples(context);
    yield statsBetween(context, before, now).filter(({ id }) => ids?.has(id) ?? true);
    before = now;
  }
}

type Samples = {
  readonly atMs: number;
  readonly byId: ReadonlyMap<string, ContainerSample>;
};

async function readSamples(context: ControlContext): Promise<Samples> {
  const { core, containerMetrics, metricTargets } = context;
  containerMetrics.setTargets(metricTargets());
  return { atMs: core.clock.now(), byId: await containerMetrics.readStats() };
}

function statsBetween(context: ControlContext, before: Samples, now: Samples): ContainerStats[] {
  const elapsedUs = Math.max(1, now.atMs - before.atMs) * 1_000;
  const stats: ContainerStats[] = [];
  for (const { id, name } of context.loop.last?.actual.containers ?? []) {
    const sample = now.byId.get(id);
    if (sample === undefined) continue;
    const { cpuUsageUs, ...figures } = sample;
    const earlier = before.byId.get(id)?.cpuUsageUs ?? cpuUsageUs;
    // A restart begins the counter anew.
    const cpuPercent = (Math.max(0, cpuUsageUs - earlier) / elapsedUs) * 100;
    stats.push({ id, name, cpuPercent, ...figures });
  }
  return stats.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function doNothing(): void {}
