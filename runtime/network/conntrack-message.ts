/** Messages of nf_conntrack, as linux/netfilter/nfnetlink_conntrack.h numbers them. */
import { messageFlag, type NetlinkWriter, readAttributes } from "./netlink-message.ts";

export const conntrackMessage = { new: 0x100, get: 0x101, delete: 0x102 } as const;
export const attribute = { original: 1, reply: 2, id: 12, filter: 25 } as const;
export const tuplePart = { addresses: 1, protocol: 2 } as const;

const ipv4 = 2;

export function beginConntrack(writer: NetlinkWriter, type: number, flags: number): void {
  writer
    .begin(type, messageFlag.request | flags)
    .u8(ipv4)
    .u8(0)
    .u16(0);
}

/** The attributes of one part of a connection's original or reply direction. */
export function readTuple(tuple: Buffer, part: number): ReadonlyMap<number, Buffer> {
  return readAttributes(readAttributes(tuple).get(part) ?? Buffer.alloc(0));
}
