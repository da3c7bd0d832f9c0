import type { CgroupHost } from "./cgroup-host.ts";
import type { CgroupWrite } from "./cgroup-limits.ts";

/** Rules of the v1 devices controller: everything is refused but the container's own nodes and its terminals. */
export function deviceWrites(
  host: CgroupHost,
  path: string,
  devices: readonly (readonly [name: string, major: number, minor: number])[],
): readonly CgroupWrite[] {
  const mountPoint = host.v1.get("devices");
  if (mountPoint === undefined) return [];
  const rule = (file: string, value: string): CgroupWrite => ({
    path: `${mountPoint}${path}/${file}`,
    value,
    optional: false,
    field: "devices",
  });
  const pseudoTerminals = ["c 5:2 rwm", "c 136:* rwm"];
  const nodes = devices.map(([, major, minor]) => `c ${major}:${minor} rwm`);
  return [
    rule("devices.deny", "a"),
    ...[...nodes, ...pseudoTerminals].map((value) => rule("devices.allow", value)),
  ];
}
