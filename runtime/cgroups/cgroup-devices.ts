import type { CgroupHost } from "./cgroup-host.ts";
import type { CgroupWrite } from "./cgroup-write.ts";
import { deviceProgram } from "./device-program.ts";
import type { DeviceRule } from "./device-rules.ts";

/** Writes that put an allowlist on the v1 devices controller; none where the host has no such hierarchy. */
export function deviceWrites(
  host: CgroupHost,
  path: string,
  rules: readonly DeviceRule[],
): readonly CgroupWrite[] {
  const mountPoint = host.v1.get("devices");
  if (mountPoint === undefined) return [];
  const write = (file: string, value: string): CgroupWrite => ({
    path: `${mountPoint}${path}/${file}`,
    value,
    optional: false,
    field: "devices",
  });
  return [
    write("devices.deny", "a"),
    ...rules.map((rule) => write("devices.allow", ruleText(rule))),
  ];
}

/** The same allowlist as a program for the cgroup2 directory; undefined where the v1 controller holds it. */
export function deviceFilter(
  host: CgroupHost,
  rules: readonly DeviceRule[],
): Uint8Array | undefined {
  return host.v1.has("devices") ? undefined : deviceProgram(rules);
}

/** A line of devices.allow (cgroup-v1/devices in the kernel's documentation). */
function ruleText({ type, major, minor, read, write, makeNode }: DeviceRule): string {
  const letter = { character: "c", block: "b", all: "a" }[type];
  const accesses = `${read ? "r" : ""}${write ? "w" : ""}${makeNode ? "m" : ""}`;
  return `${letter} ${major ?? "*"}:${minor ?? "*"} ${accesses}`;
}
