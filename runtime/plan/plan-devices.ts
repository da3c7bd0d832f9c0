import { readdirSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { type DeviceRule, defaultDeviceRules, everyDevice } from "../cgroups/device-rules.ts";
import type { ContainerSpec, DeviceMapping } from "../container-spec.ts";
import { idsPerContainer } from "../containers/id-leases.ts";
import { containerDevices } from "./default-mounts.ts";
import type { DeviceNode } from "./start-plan.ts";

const devicesMax = 4096;

/** Nodes besides the default ones, and everything that the cgroup lets pass. Throws when a device is not there. */
export function planDevices(spec: Pick<ContainerSpec, "devices" | "deviceRules" | "security">): {
  readonly nodes: readonly DeviceNode[];
  readonly rules: readonly DeviceRule[];
} {
  const isPrivileged = spec.security?.privileged === true;
  const mapped = (spec.devices ?? []).flatMap((mapping) =>
    nodesBelow(mapping).map((node) => ({ node, permissions: mapping.permissions })),
  );
  const hostNodes = isPrivileged
    ? nodesBelow({ source: "/dev", target: "/dev", permissions: "rwm" }).filter(
        ({ path }) => !ownPaths.has(path),
      )
    : [];
  const rules = isPrivileged
    ? [everyDevice]
    : [
        ...defaultDeviceRules(containerDevices),
        ...mapped.map(({ node, permissions }) => nodeRule(node, permissions)),
        ...(spec.deviceRules ?? []).map(parseDeviceRule),
      ];
  const nodes = new Map([...hostNodes, ...mapped.map(({ node }) => node)].map((n) => [n.path, n]));
  return { nodes: [...nodes.values()], rules };
}

/** What the container has of its own. */
const ownPaths = new Set([
  ...containerDevices.map(([name]) => `/dev/${name}`),
  "/dev/console",
  "/dev/ptmx",
]);
const ownDirectories = new Set(["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/fd"]);

/** The node, or every node below a directory. Links on the way to a named source are the host's own. */
function nodesBelow(mapping: Omit<DeviceMapping, "permissions"> & { permissions: string }) {
  const found = statSync(mapping.source, { throwIfNoEntry: false });
  if (found === undefined) {
    throw new Error(
      `cannot give device ${mapping.source} because the host has none: plug it in, or leave it out`,
    );
  }
  if (!found.isDirectory()) return [nodeOf(mapping.source, mapping.target)];
  const nodes: DeviceNode[] = [];
  const pending: { readonly source: string; readonly target: string }[] = [mapping];
  for (let place = pending.pop(); place !== undefined; place = pending.pop()) {
    for (const entry of readdirSync(place.source, { withFileTypes: true })) {
      const inner = {
        source: join(place.source, entry.name),
        target: join(place.target, entry.name),
      };
      if (entry.isDirectory() && !ownDirectories.has(inner.source)) pending.push(inner);
      if (!entry.isCharacterDevice() && !entry.isBlockDevice()) continue;
      nodes.push(nodeOf(inner.source, inner.target));
      if (nodes.length > devicesMax) {
        throw new Error(
          `cannot give ${mapping.source} because it holds more than ${devicesMax} devices: name those that are needed`,
        );
      }
    }
  }
  return nodes;
}

function nodeOf(source: string, target: string): DeviceNode {
  const found = statSync(realpathSync(source), { bigint: true });
  if (!found.isCharacterDevice() && !found.isBlockDevice()) {
    throw new Error(`cannot give ${source} as a device because it is none: mount it instead`);
  }
  if (!target.startsWith("/dev/")) {
    throw new Error(`cannot give ${source} at ${target}: a place below /dev is expected`);
  }
  const { rdev } = found;
  return {
    path: target,
    type: found.isBlockDevice() ? "b" : "c",
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xffff_f000n)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffff_ff00n)),
    mode: Number(found.mode & 0o777n),
    uid: insideId(found.uid),
    gid: insideId(found.gid),
  };
}

function insideId(id: bigint): number {
  return id < BigInt(idsPerContainer) ? Number(id) : 0;
}

function nodeRule(node: DeviceNode, permissions: string): DeviceRule {
  return {
    type: node.type === "b" ? "block" : "character",
    major: node.major,
    minor: node.minor,
    ...accesses(permissions),
  };
}

/** A line of devices.allow: `c 188:* rwm`. */
function parseDeviceRule(text: string): DeviceRule {
  const match = /^([abc]) ([0-9]{1,7}|\*):([0-9]{1,7}|\*) ([rwm]{1,3})$/.exec(text);
  const [, letter, major, minor, permissions] = match ?? [];
  if (letter === undefined || permissions === undefined) {
    throw new Error(
      `cannot use the device rule ${JSON.stringify(text)}: TYPE MAJOR:MINOR ACCESS is expected, such as "c 188:* rwm"`,
    );
  }
  const number = (part: string | undefined) =>
    part === undefined || part === "*" ? undefined : Number(part);
  return {
    type: letter === "a" ? "all" : letter === "b" ? "block" : "character",
    major: number(major),
    minor: number(minor),
    ...accesses(permissions),
  };
}

function accesses(letters: string): Pick<DeviceRule, "read" | "write" | "makeNode"> {
  return {
    read: letters.includes("r"),
    write: letters.includes("w"),
    makeNode: letters.includes("m"),
  };
}
