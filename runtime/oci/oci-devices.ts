import { writeFileSync } from "node:fs";
import type { CgroupHost } from "../cgroups/cgroup-host.ts";
import { type DeviceRule, everyDevice } from "../cgroups/device-rules.ts";
import { containerDevices } from "../plan/default-mounts.ts";
import type { DeviceNode } from "../plan/start-plan.ts";
import type { OciConfig, OciDeviceCgroup } from "./oci-config.ts";

/** The nodes that the specification gives every container, and those of `linux.devices`, which win. */
export function planDevices({ linux }: OciConfig): readonly DeviceNode[] {
  const own = (linux.devices ?? []).map(
    (device): DeviceNode => ({
      path: device.path,
      type: device.type === "u" ? "c" : device.type,
      major: device.major ?? 0,
      minor: device.minor ?? 0,
      mode: (device.fileMode ?? 0o666) & 0o7777,
      uid: device.uid ?? 0,
      gid: device.gid ?? 0,
    }),
  );
  const paths = new Set(own.map(({ path }) => path));
  const standard = containerDevices.map(
    ([name, major, minor]): DeviceNode => ({
      path: `/dev/${name}`,
      type: "c",
      major,
      minor,
      mode: 0o666,
      uid: 0,
      gid: 0,
    }),
  );
  return [...standard.filter(({ path }) => !paths.has(path)), ...own];
}

/** What every container may use, whatever its rules say, and after them: nodes of any kind may be made. */
const standardRules: readonly OciDeviceCgroup[] = [
  { allow: true, type: "c", access: "m" },
  { allow: true, type: "b", access: "m" },
  ...containerDevices.map(
    ([, major, minor]): OciDeviceCgroup => ({
      allow: true,
      type: "c",
      major,
      minor,
      access: "rwm",
    }),
  ),
  { allow: true, type: "c", major: 136, access: "rwm" },
  { allow: true, type: "c", major: 5, minor: 2, access: "rwm" },
];

/** Puts `linux.resources.devices` on the v1 devices controller, in their order. */
export function writeDeviceRules(
  host: CgroupHost,
  path: string,
  rules: readonly OciDeviceCgroup[],
): void {
  const mountPoint = host.v1.get("devices");
  if (mountPoint === undefined || rules.length === 0) return;
  for (const rule of [...rules, ...standardRules]) {
    const file = rule.allow ? "devices.allow" : "devices.deny";
    writeFileSync(`${mountPoint}${path}/${file}`, ruleText(rule));
  }
}

/**
 * The same for cgroup2, where rules are one allowlist: what a later rule refuses is taken out when it is the same
 * device. Undefined where the v1 controller has them, or everything is allowed.
 */
export function deviceAllowlist(
  host: CgroupHost,
  rules: readonly OciDeviceCgroup[],
): readonly DeviceRule[] | undefined {
  if (host.v1.has("devices") || rules.length === 0) return undefined;
  let allowed: readonly DeviceRule[] = [everyDevice];
  for (const rule of [...rules, ...standardRules].map(toRule)) {
    if (rule.allow) allowed = [...allowed, rule.rule];
    else allowed = allowed.flatMap((one) => without(one, rule.rule));
  }
  return allowed;
}

function toRule(rule: OciDeviceCgroup): { readonly allow: boolean; readonly rule: DeviceRule } {
  const access = rule.access == null || rule.access === "" ? "rwm" : rule.access;
  const number = (value: number | null | undefined) =>
    value == null || value < 0 ? undefined : value;
  return {
    allow: rule.allow,
    rule: {
      type: rule.type === "c" ? "character" : rule.type === "b" ? "block" : "all",
      major: rule.type === "a" ? undefined : number(rule.major),
      minor: rule.type === "a" ? undefined : number(rule.minor),
      read: access.includes("r"),
      write: access.includes("w"),
      makeNode: access.includes("m"),
    },
  };
}

function without(rule: DeviceRule, refused: DeviceRule): readonly DeviceRule[] {
  const covers =
    (refused.type === "all" || refused.type === rule.type) &&
    (refused.major === undefined || refused.major === rule.major) &&
    (refused.minor === undefined || refused.minor === rule.minor);
  if (!covers) return [rule];
  const rest = {
    ...rule,
    read: rule.read && !refused.read,
    write: rule.write && !refused.write,
    makeNode: rule.makeNode && !refused.makeNode,
  };
  return rest.read || rest.write || rest.makeNode ? [rest] : [];
}

/** A line of devices.allow (cgroup-v1/devices in the kernel's documentation). */
function ruleText(rule: OciDeviceCgroup): string {
  const type = rule.type ?? "a";
  if (type === "a") return "a";
  const number = (value: number | null | undefined) => (value == null || value < 0 ? "*" : value);
  return `${type} ${number(rule.major)}:${number(rule.minor)} ${rule.access || "rwm"}`;
}
