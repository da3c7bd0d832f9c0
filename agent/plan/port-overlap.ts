import type { PortBinding } from "../../runtime/container-spec.ts";

/** True when both cannot be published at the same time. */
export function overlaps(a: PortBinding, b: PortBinding): boolean {
  return (
    a.hostPort === b.hostPort &&
    a.protocol === b.protocol &&
    (a.hostIp === b.hostIp || a.hostIp === "0.0.0.0" || b.hostIp === "0.0.0.0")
  );
}
