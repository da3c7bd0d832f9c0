import { formatAddress, type Subnet } from "./ipv4.ts";
import {
  messageFlag,
  NetlinkWriter,
  readAttributes,
  readMessages,
  readTextAt,
  visitAttributes,
} from "./netlink-message.ts";
import {
  family,
  linkAttribute,
  linkHeader,
  linkInfoAttribute,
  linkUp,
  routeMessage,
} from "./rtnetlink.ts";

export type Link = {
  readonly index: number;
  readonly name: string;
  readonly kind: string;
  readonly up: boolean;
  /** Index of the bridge it is a port of; 0: none. */
  readonly master: number;
  readonly group: number;
};

export type LinkAddress = {
  readonly index: number;
  readonly address: string;
  readonly prefixLength: number;
};

const linkHeaderBytes = 16;
const addressHeaderBytes = 8;
const routeHeaderBytes = 12;
const [addressLocal, addressPeer, routeDestination] = [2, 1, 1];

/** RTEXT_FILTER_SKIP_STATS of linux/rtnetlink.h: they are half of what a link's answer has. */
const skipStatistics = 1 << 3;

/** Asks for every link, or for those of one kind (`bridge`). */
export function dumpLinks(kind?: string): Buffer {
  const writer = new NetlinkWriter();
  linkHeader(writer.begin(routeMessage.getLink, messageFlag.request | messageFlag.dump));
  writer.attributeU32(linkAttribute.extMask, skipStatistics);
  if (kind !== undefined) {
    writer.nested(linkAttribute.linkInfo, () =>
      writer.attributeString(linkInfoAttribute.kind, kind),
    );
  }
  return writer.finish();
}

/** Asks for every IPv4 address, or for those of every family. */
export function dumpAddresses(families: "ipv4" | "unspecified" = "ipv4"): Buffer {
  return new NetlinkWriter()
    .begin(routeMessage.getAddress, messageFlag.request | messageFlag.dump)
    .raw(Buffer.from([family[families], 0, 0, 0, 0, 0, 0, 0]))
    .finish();
}

/** Asks for every IPv4 route. */
export function dumpRoutes(): Buffer {
  return new NetlinkWriter()
    .begin(routeMessage.getRoute, messageFlag.request | messageFlag.dump)
    .raw(Buffer.from([family.ipv4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
    .finish();
}

export function readLinks(reply: Buffer): Link[] {
  return payloads(reply, routeMessage.newLink, linkHeaderBytes).map(readLink);
}

/** A link has some thirty attributes, and a host as many links as containers: what is not asked for costs nothing. */
function readLink(payload: Buffer): Link {
  let [name, kind, master, group] = ["", "", 0, 0];
  visitAttributes(payload, { from: linkHeaderBytes }, (type, from, to) => {
    if (type === linkAttribute.name) name = readTextAt(payload, from, to);
    else if (type === linkAttribute.master) master = payload.readUInt32LE(from);
    else if (type === linkAttribute.group) group = payload.readUInt32LE(from);
    else if (type === linkAttribute.linkInfo) {
      visitAttributes(payload, { from, to }, (inner, start, end) => {
        if (inner === linkInfoAttribute.kind) kind = readTextAt(payload, start, end);
      });
    }
  });
  const up = (payload.readUInt32LE(8) & linkUp) !== 0;
  return { index: payload.readInt32LE(4), name, kind, up, master, group };
}

export function readAddresses(reply: Buffer): LinkAddress[] {
  return payloads(reply, routeMessage.newAddress, addressHeaderBytes).flatMap((payload) => {
    const attributes = readAttributes(payload.subarray(addressHeaderBytes));
    const local = attributes.get(addressLocal) ?? attributes.get(addressPeer);
    if (local === undefined || local.length !== 4) return [];
    return {
      index: payload.readUInt32LE(4),
      address: formatAddress(local.readUInt32BE()),
      prefixLength: payload.readUInt8(1),
    };
  });
}

/** Destinations of the IPv4 routes, default routes (prefix 0) included. */
export function readRoutes(reply: Buffer): Subnet[] {
  return payloads(reply, routeMessage.newRoute, routeHeaderBytes).flatMap((payload) => {
    const destination = readAttributes(payload.subarray(routeHeaderBytes)).get(routeDestination);
    if (destination !== undefined && destination.length !== 4) return [];
    return { base: destination?.readUInt32BE() ?? 0, prefixLength: payload.readUInt8(1) };
  });
}

export function payloads(reply: Buffer, type: number, headerBytes: number): Buffer[] {
  return readMessages(reply).flatMap((message) => {
    if (message.type !== type) return [];
    if (message.payload.length < headerBytes) {
      throw new RangeError(`cannot read a route message of type ${type}: it is too short`);
    }
    return message.payload;
  });
}
