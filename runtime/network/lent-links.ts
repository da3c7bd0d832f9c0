import {
  type NetlinkAttribute,
  type NetlinkTransact,
  NetlinkWriter,
  netlinkFamily,
  readAttributeList,
  readAttributes,
} from "./netlink-message.ts";
import { addAddressAgain, moveLink, routeMessage, setLinkMaster, setLinkUp } from "./rtnetlink.ts";
import { dumpAddresses, dumpLinks, payloads, readLinks } from "./rtnetlink-dump.ts";

/** An address as the kernel tells it. */
export type KeptAddress = {
  readonly family: number;
  readonly prefixLength: number;
  /** IFA_F_* of linux/if_addr.h. */
  readonly flags: number;
  readonly attributes: readonly NetlinkAttribute[];
};

/** A link of the host that moves into a container. */
export type LentLink = {
  readonly hostName: string;
  /** `%d` in it stands for a number that the kernel chooses. */
  readonly name: string;
  readonly index: number;
  /** In the container. */
  readonly newIndex: number;
  readonly up: boolean;
  /** Index of the bridge that it is a port of; 0: none. */
  readonly master: number;
  /** The permanent ones of global scope: moving a link takes its addresses away. */
  readonly addresses: readonly KeptAddress[];
};

/** One datagram of the routing family; the number of a descriptor is written to `patchOffset`, where there is one. */
export type LinkDatagram = { readonly messages: Buffer; readonly patchOffset?: number };

/** Finds the links by their names on the host. Undefined for one that is not there. */
export async function findLentLinks(
  transact: NetlinkTransact,
  wanted: readonly { readonly hostName: string; readonly name: string }[],
): Promise<readonly (LentLink | undefined)[]> {
  const ask = (messages: Buffer) =>
    transact({ family: netlinkFamily.route, messages, replies: true });
  const links = readLinks(await ask(dumpLinks()));
  const addresses = readKeptAddresses(await ask(dumpAddresses("unspecified")));
  return wanted.map(({ hostName, name }, position) => {
    const link = links.find((candidate) => candidate.name === hostName);
    if (link === undefined) return undefined;
    const { index, up, master } = link;
    return {
      hostName,
      name,
      index,
      newIndex: firstNewIndex + (index % indexRange) * linksMax + position,
      up,
      master,
      addresses: addresses.get(index) ?? [],
    };
  });
}

/** Into the namespace whose descriptor is written to the offset. */
export function moveThere({ index, name, newIndex }: LentLink): LinkDatagram {
  const writer = new NetlinkWriter();
  const patchOffset = moveLink(writer, { index, name, newIndex });
  return { messages: writer.finish(), patchOffset };
}

/** What it needs where it has arrived. */
export function setUpThere({ newIndex, addresses }: LentLink): LinkDatagram {
  const writer = new NetlinkWriter();
  for (const address of addresses) addAddressAgain(writer, newIndex, address);
  setLinkUp(writer, newIndex);
  return { messages: writer.finish() };
}

/** Back into the namespace whose descriptor is written to the offset. */
export function moveBack({ index, hostName, newIndex }: LentLink): LinkDatagram {
  const writer = new NetlinkWriter();
  const patchOffset = moveLink(writer, { index: newIndex, name: hostName, newIndex: index });
  return { messages: writer.finish(), patchOffset };
}

/** As it was on the host. */
export function setUpHere({ index, addresses, master, up }: LentLink): LinkDatagram {
  const writer = new NetlinkWriter();
  if (master !== 0) setLinkMaster(writer, index, master);
  for (const address of addresses) addAddressAgain(writer, index, address);
  if (up) setLinkUp(writer, index);
  return { messages: writer.finish() };
}

/** Indexes that nobody counts up to: those of a namespace are given out from 1 on. */
const [firstNewIndex, indexRange, linksMax] = [0x1000_0000, 0x10_0000, 256];
const addressHeaderBytes = 8;
const [attributeLocal, attributeAddress, attributeBroadcast, attributeFlags, attributePriority] = [
  2, 1, 4, 8, 9,
];
const kept = new Set([attributeLocal, attributeAddress, attributeBroadcast, attributePriority]);
const permanent = 0x80;
/** NODAD, HOMEADDRESS, MANAGETEMPADDR, NOPREFIXROUTE, MCAUTOJOIN: what is asked for, not what has come of it. */
const askedFor = 0x02 | 0x10 | 0x100 | 0x200 | 0x400;
const scopeUniverse = 0;

function readKeptAddresses(reply: Buffer): ReadonlyMap<number, readonly KeptAddress[]> {
  const found = new Map<number, KeptAddress[]>();
  for (const payload of payloads(reply, routeMessage.newAddress, addressHeaderBytes)) {
    const rest = payload.subarray(addressHeaderBytes);
    const flags = readAttributes(rest).get(attributeFlags)?.readUInt32LE() ?? payload.readUInt8(2);
    if ((flags & permanent) === 0 || payload.readUInt8(3) !== scopeUniverse) continue;
    const index = payload.readUInt32LE(4);
    const address = {
      family: payload.readUInt8(0),
      prefixLength: payload.readUInt8(1),
      flags: flags & askedFor,
      attributes: readAttributeList(rest).filter(({ type }) => kept.has(type)),
    };
    found.set(index, [...(found.get(index) ?? []), address]);
  }
  return found;
}
