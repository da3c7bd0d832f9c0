import type { ContainerStatus } from "../../runtime/runtime.ts";
import type { ActualContainer } from "../observe.ts";
import { healthyWhileMs } from "../restart/restart-policy.ts";

/** A container without a healthcheck counts as up once it has stayed up this long. */
const settleMs = 1_000;

/** When a container last became what it is: it was started, or its files were replaced while it ran. */
export function changedAtMs({ startedAtMs, reloadedAtMs }: ContainerStatus): number | undefined {
  if (startedAtMs === undefined || reloadedAtMs === undefined) return startedAtMs;
  return Math.max(startedAtMs, reloadedAtMs);
}

/** Milliseconds until a running container without a healthcheck counts as up; 0: it does, or health decides. */
export function settlesInMs(
  { health, status, startedEarly }: ActualContainer,
  nowMs: number,
): number {
  if (status.state !== "running" || health !== "none" || startedEarly) return 0;
  const upMs = nowMs - (changedAtMs(status) ?? 0);
  // Below 0 when the clock was set back this moment.
  return upMs < 0 ? 0 : Math.max(0, settleMs - upMs);
}

/** When time alone changes what a running container counts as: it is up, it is past its restarts. */
export function judgedAnewAtMs({
  health,
  restarts,
  status,
  startedEarly,
}: ActualContainer): readonly number[] {
  if (status.state !== "running" || startedEarly) return [];
  const { startedAtMs } = status;
  const sinceMs = changedAtMs(status);
  const settlesAtMs = health === "none" && sinceMs !== undefined ? [sinceMs + settleMs] : [];
  const isRestarted = restarts.backoffMs > 0 && startedAtMs !== undefined;
  return isRestarted ? [...settlesAtMs, startedAtMs + healthyWhileMs] : settlesAtMs;
}

/** It runs, and its healthcheck, or a moment's time, has shown that it works. */
export function isUp(container: ActualContainer, nowMs: number): boolean {
  const { health, status } = container;
  if (status.state !== "running") return false;
  return health === "healthy" || (health === "none" && settlesInMs(container, nowMs) === 0);
}
