import { hash } from "node:crypto";

const hashDigits = 8;
const prefixCharacters = 6;

/**
 * Name of a bridge: the instance's beginning and a hash, within the kernel's 15 characters. `attempt` makes another
 * name where the first one is taken.
 */
export function bridgeName(instance: string, network: string, attempt: number): string {
  return `${instance.slice(0, prefixCharacters)}-${shortHash(["bridge", instance, network, attempt])}`;
}

/** Name of a container's interface on the host; never the name of a bridge, whose prefix has no leading `v`. */
export function hostInterfaceName(
  instance: string,
  container: { readonly containerId: string; readonly network: string },
  attempt: number,
): string {
  const digest = shortHash(["veth", instance, container.containerId, container.network, attempt]);
  return `v${instance.slice(0, prefixCharacters - 1)}-${digest}`;
}

/**
 * Index of that interface, from the upper half of the range, which the kernel's own counting does not reach: see
 * `VethOptions.hostIndex`.
 */
export function hostInterfaceIndex(hostInterface: string): number {
  const number = Number.parseInt(shortHash(["index", hostInterface]), 16);
  return 0x40000000 + (number & 0x3fffffff);
}

/** Link group of all interfaces of an instance; never 0, the group of everyone else's. */
export function linkGroup(instance: string): number {
  return (Number.parseInt(shortHash(["group", instance]), 16) & 0x7fffffff) | 1;
}

function shortHash(parts: readonly (string | number)[]): string {
  return hash("sha256", JSON.stringify(parts)).slice(0, hashDigits);
}
