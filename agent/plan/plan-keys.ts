import type { PortBinding } from "../../runtime/container-spec.ts";

export function isAlive(state: string): boolean {
  return state === "running" || state === "paused";
}

export function serviceKey(app: string, service: string): string {
  return `${app}/${service}`;
}

export function portKey(port: PortBinding): string {
  return `${port.hostPort}/${port.protocol}`;
}
