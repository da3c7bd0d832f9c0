import type { PortBinding, PortProtocol } from "../container-spec.ts";
import { addressBytes, formatAddress } from "./ipv4.ts";
import type { SetElement } from "./nfnetlink.ts";
import type { SetName } from "./ruleset.ts";

/** A binding and where the packets to it go. */
export type PortRoute = PortBinding & { readonly address: string };

export type NamedElement = { readonly set: SetName; readonly element: SetElement };

export const anyAddress = "0.0.0.0";

const protocolNumbers = { tcp: 6, udp: 17 } as const satisfies Record<PortProtocol, number>;
const protocolNames: ReadonlyMap<number, PortProtocol> = new Map([
  [6, "tcp"],
  [17, "udp"],
]);

/** The map element of a route. */
export function portElement(route: PortRoute): NamedElement {
  const protocolAndPort = Buffer.alloc(8);
  protocolAndPort.writeUInt8(protocolNumbers[route.protocol], 0);
  protocolAndPort.writeUInt16BE(route.hostPort, 4);
  const data = Buffer.alloc(8);
  addressBytes(route.address).copy(data);
  data.writeUInt16BE(route.containerPort, 4);
  if (route.hostIp === anyAddress) {
    return { set: "published_any", element: { key: protocolAndPort, data } };
  }
  const key = Buffer.concat([addressBytes(route.hostIp), protocolAndPort]);
  return { set: "published", element: { key, data } };
}

/** The route that an element stands for; undefined when it is none that `portElement` makes. */
export function readPortElement(set: SetName, element: SetElement): PortRoute | undefined {
  const { key, data } = element;
  const addressLength = set === "published" ? 4 : 0;
  if (key.length !== addressLength + 8 || data?.length !== 8) return undefined;
  const protocol = protocolNames.get(key.readUInt8(addressLength));
  if (protocol === undefined) return undefined;
  return {
    hostIp: set === "published" ? formatAddress(key.readUInt32BE(0)) : anyAddress,
    hostPort: key.readUInt16BE(addressLength + 4),
    protocol,
    address: formatAddress(data.readUInt32BE(0)),
    containerPort: data.readUInt16BE(4),
  };
}

/** `tcp 0.0.0.0:8080`: what identifies a binding on the host. */
export function bindingName(binding: PortBinding): string {
  return `${binding.protocol} ${binding.hostIp}:${binding.hostPort}`;
}

/** Both would receive the same packet: same protocol and port, and equal or wildcard addresses. */
export function bindingsCollide(one: PortBinding, other: PortBinding): boolean {
  return (
    one.protocol === other.protocol &&
    one.hostPort === other.hostPort &&
    (one.hostIp === other.hostIp || one.hostIp === anyAddress || other.hostIp === anyAddress)
  );
}
