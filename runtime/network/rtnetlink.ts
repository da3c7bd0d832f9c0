import { addressBytes, macBytes } from "./ipv4.ts";
import { messageFlag, type NetlinkAttribute, type NetlinkWriter } from "./netlink-message.ts";

/** Message types, linux/rtnetlink.h. */
export const routeMessage = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  newAddress: 20,
  getAddress: 22,
  newRoute: 24,
  getRoute: 26,
  deleteNeighbour: 29,
} as const;

/** Attributes of links, linux/if_link.h. */
export const linkAttribute = {
  address: 1,
  name: 3,
  master: 10,
  linkInfo: 18,
  netNsPid: 19,
  afSpec: 26,
  group: 27,
  netNsFd: 28,
  extMask: 29,
  numTxQueues: 31,
  numRxQueues: 32,
  newIndex: 49,
} as const;
export const linkInfoAttribute = { kind: 1, data: 2, slaveKind: 4, slaveData: 5 } as const;

/** IFF_UP of linux/if.h. */
export const linkUp = 1;

/** AF_* of socket(7). */
export const family = { unspecified: 0, ipv4: 2, bridge: 7, ipv6: 10 } as const;
/** NDA_LLADDR and NTF_MASTER of linux/neighbour.h. */
const neighbourAddress = 2;
const neighbourOfMaster = 4;
const bridgeStpState = 5;
const bridgePortHairpin = 4;
const vethPeer = 1;
const ipv6AddressGenerationMode = 8;
const addressGenerationNone = 1;
const change = messageFlag.request | messageFlag.ack;
const create = change | messageFlag.create | messageFlag.exclusive;
const loopbackIndex = 1;

export type BridgeOptions = {
  readonly name: string;
  readonly mac: string;
  /** Link group, by which the links of one instance can be told and listed. */
  readonly group: number;
};

export type VethOptions = {
  readonly hostName: string;
  /** Chosen by the caller: the kernel lets the peer's index be chosen only together with this one. */
  readonly hostIndex: number;
  readonly peerName: string;
  readonly peerIndex: number;
  readonly peerMac: string;
  readonly bridgeIndex: number;
  readonly group: number;
  /** The kernel has IPv6: the host end must get no link-local address. */
  readonly ipv6: boolean;
};

/** A bridge that is up, without spanning tree. */
export function createBridge(writer: NetlinkWriter, options: BridgeOptions): void {
  link(writer, create, { flags: linkUp })
    .attributeString(linkAttribute.name, options.name)
    .attributeBytes(linkAttribute.address, macBytes(options.mac))
    .attributeU32(linkAttribute.group, options.group)
    .nested(linkAttribute.linkInfo, () =>
      writer
        .attributeString(linkInfoAttribute.kind, "bridge")
        .nested(linkInfoAttribute.data, () => writer.attributeU32(bridgeStpState, 0)),
    );
}

/**
 * A veth pair: the host's end enslaved to the bridge and up, the peer in the network namespace of a process.
 * Returns where in the buffer the pid of that process goes (u32).
 */
export function createVeth(writer: NetlinkWriter, options: VethOptions): number {
  let patchOffset = 0;
  link(writer, create, { index: options.hostIndex })
    .attributeString(linkAttribute.name, options.hostName)
    .attributeU32(linkAttribute.master, options.bridgeIndex)
    .attributeU32(linkAttribute.group, options.group)
    .attributeU32(linkAttribute.numTxQueues, 1)
    .attributeU32(linkAttribute.numRxQueues, 1)
    .nested(linkAttribute.linkInfo, () =>
      writer.attributeString(linkInfoAttribute.kind, "veth").nested(linkInfoAttribute.data, () =>
        writer.nested(vethPeer, () => {
          linkHeader(writer, { index: options.peerIndex })
            .attributeString(linkAttribute.name, options.peerName)
            .attributeBytes(linkAttribute.address, macBytes(options.peerMac))
            .attributeU32(linkAttribute.numTxQueues, 1)
            .attributeU32(linkAttribute.numRxQueues, 1)
            .attribute(linkAttribute.netNsPid, () => {
              patchOffset = writer.length;
              writer.u32(0);
            });
        }),
      ),
    );
  portSettings(writer, options.hostName);
  if (options.ipv6) withoutIpv6Address(writer, options.hostIndex);
  setLinkUp(writer, options.hostIndex);
  return patchOffset;
}

/** Enslaves a link to a bridge and sets it up as `createVeth` does. */
export function attachToBridge(
  writer: NetlinkWriter,
  options: { readonly name: string; readonly bridgeIndex: number },
): void {
  link(writer, change)
    .attributeString(linkAttribute.name, options.name)
    .attributeU32(linkAttribute.master, options.bridgeIndex);
  portSettings(writer, options.name);
}

/**
 * A link goes to another network namespace, under the name and with the index that it is to have there (since 5.13).
 * Returns where in the buffer the number of that namespace's descriptor goes (u32).
 */
export function moveLink(
  writer: NetlinkWriter,
  options: { readonly index: number; readonly name: string; readonly newIndex: number },
): number {
  let patchOffset = 0;
  link(writer, change, { index: options.index })
    .attributeString(linkAttribute.name, options.name)
    .attributeU32(linkAttribute.newIndex, options.newIndex)
    .attribute(linkAttribute.netNsFd, () => {
      patchOffset = writer.length;
      writer.u32(0);
    });
  return patchOffset;
}

export function setLinkMaster(writer: NetlinkWriter, index: number, master: number): void {
  link(writer, change, { index }).attributeU32(linkAttribute.master, master);
}

export function setLinkUp(writer: NetlinkWriter, index: number): void {
  link(writer, change, { index, flags: linkUp });
}

export function setLoopbackUp(writer: NetlinkWriter): void {
  setLinkUp(writer, loopbackIndex);
}

/** No link-local address, hence no router solicitations; to be sent before the link goes up. */
export function withoutIpv6Address(writer: NetlinkWriter, index: number): void {
  link(writer, change, { index }).nested(linkAttribute.afSpec, () =>
    writer.nested(family.ipv6, () =>
      writer.attributeU8(ipv6AddressGenerationMode, addressGenerationNone),
    ),
  );
}

export function deleteLink(writer: NetlinkWriter, name: string): void {
  linkHeader(writer.begin(routeMessage.deleteLink, change)).attributeString(
    linkAttribute.name,
    name,
  );
}

/** Lets a bridge forget that a hardware address is behind this port of its. */
export function deleteStation(
  writer: NetlinkWriter,
  options: { readonly portIndex: number; readonly mac: string },
): void {
  writer
    .begin(routeMessage.deleteNeighbour, change)
    .u8(family.bridge)
    .u8(0)
    .u16(0)
    .u32(options.portIndex)
    .u16(0)
    .u8(neighbourOfMaster)
    .u8(0)
    .attributeBytes(neighbourAddress, macBytes(options.mac));
}

export function addAddress(
  writer: NetlinkWriter,
  options: { readonly index: number; readonly address: string; readonly prefixLength: number },
): void {
  const broadcast = addressBytes(options.address);
  broadcast.writeUInt32BE((broadcast.readUInt32BE() | (0xffffffff >>> options.prefixLength)) >>> 0);
  writer
    .begin(routeMessage.newAddress, change | messageFlag.create | messageFlag.replace)
    .u8(family.ipv4)
    .u8(options.prefixLength)
    .u8(0)
    .u8(0)
    .u32(options.index)
    .attributeBytes(1, addressBytes(options.address))
    .attributeBytes(2, addressBytes(options.address))
    .attributeBytes(4, broadcast);
}

/** An address of global scope, with the attributes that another link had it with. `flags` are IFA_F_*. */
export function addAddressAgain(
  writer: NetlinkWriter,
  index: number,
  address: {
    readonly family: number;
    readonly prefixLength: number;
    readonly flags: number;
    readonly attributes: readonly NetlinkAttribute[];
  },
): void {
  writer
    .begin(routeMessage.newAddress, change | messageFlag.create | messageFlag.replace)
    .u8(address.family)
    .u8(address.prefixLength)
    .u8(0)
    .u8(0)
    .u32(index)
    .attributeU32(8, address.flags);
  for (const { type, value } of address.attributes) writer.attributeBytes(type, value);
}

export function addDefaultRoute(
  writer: NetlinkWriter,
  options: { readonly index: number; readonly gateway: string },
): void {
  const [mainTable, protocolBoot, scopeUniverse, unicast] = [254, 3, 0, 1];
  writer
    .begin(routeMessage.newRoute, create)
    .u8(family.ipv4)
    .u8(0)
    .u8(0)
    .u8(0)
    .u8(mainTable)
    .u8(protocolBoot)
    .u8(scopeUniverse)
    .u8(unicast)
    .u32(0)
    .attributeU32(4, options.index)
    .attributeBytes(5, addressBytes(options.gateway));
}

type LinkHeader = { readonly index?: number; readonly flags?: number };

function link(writer: NetlinkWriter, flags: number, header: LinkHeader = {}): NetlinkWriter {
  return linkHeader(writer.begin(routeMessage.newLink, flags), header);
}

/** struct ifinfomsg. */
export function linkHeader(writer: NetlinkWriter, header: LinkHeader = {}): NetlinkWriter {
  const flags = header.flags ?? 0;
  return writer
    .u8(family.unspecified)
    .u8(0)
    .u16(0)
    .u32(header.index ?? 0)
    .u32(flags)
    .u32(flags);
}

/** Hairpin: where br_netfilter is on, a container reaches its own published port through the port it came in. */
function portSettings(writer: NetlinkWriter, name: string): void {
  link(writer, change)
    .attributeString(linkAttribute.name, name)
    .nested(linkAttribute.linkInfo, () =>
      writer
        .attributeString(linkInfoAttribute.slaveKind, "bridge")
        .nested(linkInfoAttribute.slaveData, () => writer.attributeU8(bridgePortHairpin, 1)),
    );
}
