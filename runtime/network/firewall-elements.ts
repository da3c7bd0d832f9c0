import { addressBytes, formatAddress, lastAddress, macBytes, macOfAddress } from "./ipv4.ts";
import type { StoredLease, StoredNetwork, StoredPort } from "./network-store.ts";
import { paddedLength, registersOf } from "./nft-table.ts";
import { type NamedElement, portElement } from "./published-ports.ts";
import { dataType } from "./ruleset.ts";

/** All that the sets should hold for an inventory. */
export function expectedElements(inventory: {
  readonly networks: readonly StoredNetwork[];
  readonly leases: readonly StoredLease[];
  readonly ports: readonly StoredPort[];
}): NamedElement[] {
  return [
    ...inventory.networks.flatMap(networkElements),
    ...inventory.leases.map(pinElement),
    ...inventory.ports.map(portElement),
  ];
}

/** What makes a bridge known to the rules. */
function networkElements(network: StoredNetwork): NamedElement[] {
  const bridge = interfaceBytes(network.bridge);
  const subnetEnd = (address: number) =>
    concatenate([bridge, addressBytes(formatAddress(address))]);
  const key = subnetEnd(network.subnet.base);
  const keyEnd = subnetEnd(lastAddress(network.subnet));
  return [
    { set: "bridges", element: { key: bridge } },
    { set: "same_bridge", element: { key: concatenate([bridge, bridge]) } },
    { set: "subnets", element: { key, keyEnd } },
    ...(network.internal ? [{ set: "internal", element: { key: bridge } } as const] : []),
  ];
}

/** Ties a container's port of the bridge to its MAC and IPv4 address. */
export function pinElement(lease: StoredLease): NamedElement {
  const key = concatenate([
    interfaceBytes(lease.hostInterface),
    macBytes(lease.mac ?? macOfAddress(lease.address)),
    addressBytes(lease.address),
  ]);
  return { set: "pins", element: { key } };
}

function interfaceBytes(name: string): Buffer {
  const bytes = Buffer.alloc(paddedLength([dataType.interface]));
  bytes.write(name, "latin1");
  return bytes;
}

function concatenate(fields: readonly Buffer[]): Buffer {
  return Buffer.concat(
    fields.map((field) =>
      Buffer.concat([field, Buffer.alloc(registersOf(field.length) - field.length)]),
    ),
  );
}
