import type { PortBinding } from "../../runtime/container-spec.ts";
import type { ActualContainer } from "../observe.ts";

export function isAlive(state: string): boolean {
  return state === "running" || state === "paused";
}

/** A restart by its policy may be in the middle of its start: then it is seen as ended, and publishes its ports in a moment. */
export function mayRun({ status, restartPending }: ActualContainer): boolean {
  return isAlive(status.state) || restartPending;
}

export function serviceKey(app: string, service: string): string {
  return `${app}/${service}`;
}

export function portKey(port: PortBinding): string {
  return `${port.hostPort}/${port.protocol}`;
}
