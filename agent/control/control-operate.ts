import type { ExecSpec } from "../../runtime/container-spec.ts";
import type { OwnerOptions, ProcessSession } from "../../runtime/runtime.ts";
import type { ActualContainer } from "../observe.ts";
import type { ByHandAction } from "../store/state-store.ts";
import type { ControlContext } from "./control-context.ts";
import { resolveContainer } from "./control-names.ts";

/** What operators do by hand. It is written down, so that the loop leaves it alone until the service changes. */
export async function stopByHand(
  context: ControlContext,
  name: string,
  options: { readonly graceMs?: number },
): Promise<void> {
  await byHand(context, name, "stop", (container) => stop(context, container, options.graceMs));
}

export async function startByHand(context: ControlContext, name: string): Promise<void> {
  await byHand(context, name, "start", (container) => start(context, container));
}

export async function restartByHand(
  context: ControlContext,
  name: string,
  options: { readonly graceMs?: number },
): Promise<void> {
  await byHand(context, name, "restart", async (container) => {
    await stop(context, container, options.graceMs);
    await start(context, container);
  });
}

/** A signal that usually ends a process counts as stopping it by hand; any other (SIGHUP, SIGUSR1) does not. */
export async function killByHand(
  context: ControlContext,
  name: string,
  signal: string,
): Promise<void> {
  const { runtime, view } = context.core;
  const send = (container: ActualContainer) => runtime.signalContainer(container.id, signal);
  const container = resolveContainer(await view.observe(), name);
  requireRunning(container, "send a signal to");
  if (isEnding(signal, container)) await byHand(context, name, "kill", send);
  else await send(container);
}

export async function execIn(
  { core }: ControlContext,
  name: string,
  spec: ExecSpec,
): Promise<ProcessSession> {
  const container = resolveContainer(await core.view.observe(), name);
  requireRunning(container, "run a command in");
  return core.runtime.exec(container.id, spec);
}

/** Starts what was made for it, with who waits for it attached. */
export async function startForOwner(
  context: ControlContext,
  name: string,
  owner: OwnerOptions,
): Promise<ProcessSession> {
  const { locks, view, runtime, state, events } = context.core;
  const session = await locks.run(name, async () => {
    const container = resolveContainer(await view.observe(), name);
    const how = (id: string) => runtime.runContainer(id, owner);
    const begun = await startBy(context, container, how);
    state.unmarkByHand(name);
    const fields = { container: container.id };
    const message = `${name} was started`;
    const { app } = container;
    events.record({ kind: "container.started", app, target: name, message, fields });
    return begun.session;
  });
  context.loop.trigger("run by hand");
  return session;
}

async function byHand(
  { core, loop }: ControlContext,
  name: string,
  action: ByHandAction,
  act: (container: ActualContainer) => Promise<void>,
): Promise<void> {
  const { view, locks, state, clock, events } = core;
  const found = resolveContainer(await view.observe(), name);
  await locks.run(found.name, async () => {
    // It may have been made anew while the lock was waited for.
    const container = resolveContainer(await view.observe(), found.name);
    // The mark first: the exit that follows must find it.
    const { specDigest, app } = container;
    state.markByHand({ name: found.name, action, specDigest, atMs: clock.now() });
    await act(container);
    // What runs again is as it is wanted: nothing by hand is left to be seen, or to be left alone.
    if (action === "start" || action === "restart") state.unmarkByHand(found.name);
    const message = `${action} of ${found.name} by hand`;
    events.record({ kind: `container.${action}-by-hand`, app, target: found.name, message });
  });
  loop.trigger("by hand");
}

async function stop(
  { core }: ControlContext,
  container: ActualContainer,
  graceMs: number | undefined,
): Promise<void> {
  core.supervisor.expectStop(container.id);
  core.health.unwatch(container.id);
  if (container.status.state !== "running" && container.status.state !== "paused") return;
  const abort = new AbortController().signal;
  const grace = graceMs ?? container.stopGraceMs;
  await core.runtime.stopContainer(container.id, { graceMs: grace, abort });
}

async function start(context: ControlContext, container: ActualContainer): Promise<void> {
  const { runtime } = context.core;
  await startBy(context, container, (id) => runtime.startContainer(id));
}

/** `how` makes the kernel run it. */
async function startBy<Started extends { readonly startedAtMs: number }>(
  { core }: ControlContext,
  { id, name }: ActualContainer,
  how: (id: string) => Promise<Started>,
): Promise<Started> {
  const { supervisor, state } = core;
  if (state.completed().has(name)) state.unmarkCompleted(name);
  supervisor.expectRunning(id);
  supervisor.reset(id);
  core.index.started(id, core.clock.now());
  const begun = await how(id);
  core.started(id, begun.startedAtMs);
  return begun;
}

function requireRunning(container: ActualContainer, purpose: string): void {
  const { state } = container.status;
  if (state === "running") return;
  throw new Error(
    `cannot ${purpose} ${container.name} because it is ${state}: start it with \`berth start ${container.name}\``,
  );
}

function isEnding(signal: string, container: ActualContainer): boolean {
  const numbers: Readonly<Record<string, string>> = {
    "2": "INT",
    "3": "QUIT",
    "9": "KILL",
    "15": "TERM",
  };
  const name = numbers[signal] ?? plainSignal(signal);
  const { stopSignal } = container.status.spec;
  const own = stopSignal === undefined ? [] : [plainSignal(stopSignal)];
  return ["KILL", "TERM", "INT", "QUIT", "ABRT", ...own].includes(name);
}

function plainSignal(text: string): string {
  return text.toUpperCase().replace(/^SIG/, "");
}
