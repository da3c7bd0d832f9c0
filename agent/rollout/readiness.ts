import type { ActualContainer } from "../observe.ts";

/** A container without a healthcheck counts as up once it has stayed up this long. */
const settleMs = 1_000;

/** Milliseconds until a running container without a healthcheck counts as up; 0: it does, or health decides. */
export function settlesInMs({ health, status }: ActualContainer, nowMs: number): number {
  if (status.state !== "running" || health !== "none") return 0;
  const upMs = nowMs - (status.startedAtMs ?? 0);
  // Below 0 after the clock was set back.
  return upMs < 0 ? 0 : Math.max(0, settleMs - upMs);
}

/** It runs, and its healthcheck, or a moment's time, has shown that it works. */
export function isUp(container: ActualContainer, nowMs: number): boolean {
  const { health, status } = container;
  if (status.state !== "running") return false;
  return health === "healthy" || (health === "none" && settlesInMs(container, nowMs) === 0);
}
