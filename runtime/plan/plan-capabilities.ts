import { readFileSync } from "node:fs";
import type { ContainerSpec } from "../container-spec.ts";
import {
  type CapabilityName,
  capabilityMask,
  capabilityName,
  defaultCapabilities,
  everyCapability,
} from "./capabilities.ts";
import type { CapabilitySets } from "./start-plan.ts";

/** What a container's processes may come to hold. Throws on unknown names, and on what this host cannot give. */
export function containerCapabilities(
  spec: Pick<ContainerSpec, "security" | "namespaces">,
): readonly CapabilityName[] {
  const { privileged, capabilitiesAdded = [], capabilitiesDropped = [] } = spec.security ?? {};
  const isHost = privileged === true || spec.namespaces?.user === "host";
  // Without a user namespace of its own a container cannot hold more than the agent.
  const available = isHost ? everyCapability.filter(isHeld) : everyCapability;
  const added = new Set(named(capabilitiesAdded, available));
  const dropped = new Set(named(capabilitiesDropped, everyCapability));
  for (const name of added) {
    if (available.includes(name)) continue;
    throw new Error(
      `cannot give capability ${name} because the agent does not hold it itself: run the agent with it, or leave it out`,
    );
  }
  const base = privileged === true ? available : defaultCapabilities;
  return everyCapability.filter(
    (name) => added.has(name) || (base.includes(name) && !dropped.has(name)),
  );
}

/** Only root holds what is in the bounding set; nobody inherits. */
export function capabilitySets(
  capabilities: readonly CapabilityName[],
  uid: number,
): CapabilitySets {
  const bounding = capabilityMask(capabilities);
  const held = uid === 0 ? bounding : 0n;
  return { bounding, permitted: held, effective: held, inheritable: 0n, ambient: 0n };
}

/** True when this process may hand the capability to what it starts. */
export function isHeld(name: CapabilityName): boolean {
  held ??= BigInt(
    `0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0"}`,
  );
  return (held & capabilityMask([name])) !== 0n;
}

let held: bigint | undefined;

function named(
  texts: readonly string[],
  all: readonly CapabilityName[],
): readonly CapabilityName[] {
  return texts.flatMap((text) => (text.toUpperCase() === "ALL" ? all : [capabilityName(text)]));
}
