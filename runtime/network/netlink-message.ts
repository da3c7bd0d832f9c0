import { GrowingBuffer } from "../growing-buffer.ts";

/**
 * Carries one datagram to the kernel and back. Resolves with the messages that answered, headers included (empty
 * when `replies` is false); rejects with an error that has a numeric `errno` when the kernel refused.
 */
export type NetlinkTransact = (request: {
  readonly family: number;
  readonly messages: Buffer;
  readonly replies: boolean;
}) => Promise<Buffer>;

export type NetlinkMessage = {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Buffer;
};

export type NetlinkAttribute = { readonly type: number; readonly value: Buffer };

/** Families of netlink sockets, linux/netlink.h. */
export const netlinkFamily = { route: 0, socketDiag: 4, netfilter: 12 } as const;

/** Flags of nlmsghdr, linux/netlink.h. */
export const messageFlag = {
  request: 0x1,
  ack: 0x4,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
} as const;

const headerBytes = 16;
const attributeHeaderBytes = 4;
const attributeBytesMax = 0xffff;
const nestedFlag = 0x8000;
const attributeTypeMask = 0x3fff;
/** Types below are the netlink layer's own: no-op, error, done, overrun. */
const firstFamilyType = 0x10;

/** Writes netlink messages one after another, numbered from 1. Integers are in host order unless named `be`. */
export class NetlinkWriter extends GrowingBuffer {
  #messageStart = 0;
  #sequence = 0;

  constructor() {
    super(1024);
  }

  /** Ends the message before it and begins another. */
  begin(type: number, flags: number): this {
    this.#endMessage();
    this.#messageStart = this.length;
    this.#sequence += 1;
    return this.u32(0).u16(type).u16(flags).u32(this.#sequence).u32(0);
  }

  u32be(value: number): this {
    const at = this.reserve(4);
    this.buffer.writeUInt32BE(value, at);
    return this;
  }

  /** An attribute around whatever `write` puts down, padded to four bytes. */
  attribute(type: number, write: (writer: this) => void): this {
    const start = this.reserve(attributeHeaderBytes);
    write(this);
    const length = this.length - start;
    if (length > attributeBytesMax) {
      throw new RangeError(
        `cannot encode netlink attribute ${type & attributeTypeMask}: ${length} bytes exceed 65535`,
      );
    }
    this.buffer.writeUInt16LE(length, start);
    this.buffer.writeUInt16LE(type, start + 2);
    this.#pad();
    return this;
  }

  nested(type: number, write: (writer: this) => void): this {
    return this.attribute(type | nestedFlag, write);
  }

  attributeU8(type: number, value: number): this {
    return this.attribute(type, () => this.u8(value));
  }

  attributeU32(type: number, value: number): this {
    return this.attribute(type, () => this.u32(value));
  }

  attributeU32be(type: number, value: number): this {
    return this.attribute(type, () => this.u32be(value));
  }

  attributeBytes(type: number, value: Uint8Array): this {
    return this.attribute(type, () => this.raw(value));
  }

  /** With the NUL that ends it. */
  attributeString(type: number, value: string): this {
    return this.attribute(type, () => this.raw(Buffer.from(`${value}\0`)));
  }

  finish(): Buffer {
    this.#endMessage();
    return this.buffer.subarray(0, this.length);
  }

  #endMessage(): void {
    if (this.length === 0) return;
    this.buffer.writeUInt32LE(this.length - this.#messageStart, this.#messageStart);
    this.#pad();
  }

  #pad(): void {
    this.reserve(align(this.length) - this.length);
  }
}

/** Splits a reply; messages of the netlink layer itself (done, error, no-op) are left out. */
export function readMessages(buffer: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let offset = 0;
  while (offset < buffer.length) {
    if (buffer.length - offset < headerBytes) {
      throw new RangeError("cannot read a netlink message: its header is cut off");
    }
    const length = buffer.readUInt32LE(offset);
    if (length < headerBytes || length > buffer.length - offset) {
      throw new RangeError(`cannot read a netlink message: its length ${length} is out of bounds`);
    }
    const type = buffer.readUInt16LE(offset + 4);
    if (type >= firstFamilyType) {
      messages.push({
        type,
        flags: buffer.readUInt16LE(offset + 6),
        sequence: buffer.readUInt32LE(offset + 8),
        payload: buffer.subarray(offset + headerBytes, offset + length),
      });
    }
    offset += align(length);
  }
  return messages;
}

/** Tells where the value of each attribute between two offsets begins and ends; the flags of types are left out. */
export function visitAttributes(
  buffer: Buffer,
  { from = 0, to = buffer.length }: { readonly from?: number; readonly to?: number },
  visit: (type: number, from: number, to: number) => void,
): void {
  let offset = from;
  while (offset + attributeHeaderBytes <= to) {
    const length = u16At(buffer, offset);
    if (length < attributeHeaderBytes || length > to - offset) {
      throw new RangeError(
        `cannot read a netlink attribute: its length ${length} is out of bounds`,
      );
    }
    const type = u16At(buffer, offset + 2) & attributeTypeMask;
    visit(type, offset + attributeHeaderBytes, offset + length);
    offset += align(length);
  }
}

/** Little-endian, as `readUInt16LE`, whose checks are most of its time; the offset is known to lie within. */
function u16At(buffer: Buffer, offset: number): number {
  return (buffer[offset] ?? 0) | ((buffer[offset + 1] ?? 0) << 8);
}

/** The attributes in their order, without the nested and byte order flags of their types. */
export function readAttributeList(buffer: Buffer): NetlinkAttribute[] {
  const attributes: NetlinkAttribute[] = [];
  visitAttributes(buffer, {}, (type, from, to) => {
    attributes.push({ type, value: buffer.subarray(from, to) });
  });
  return attributes;
}

/** The attributes by type; of a repeated one the last. */
export function readAttributes(buffer: Buffer): ReadonlyMap<number, Buffer> {
  return new Map(readAttributeList(buffer).map(({ type, value }) => [type, value]));
}

/** A NUL-terminated (or unterminated) string attribute. */
export function readText(value: Buffer | undefined): string {
  return value === undefined ? "" : readTextAt(value, 0, value.length);
}

/** The same between two offsets. */
export function readTextAt(buffer: Buffer, from: number, to: number): string {
  let end = from;
  while (end < to && buffer[end] !== 0) end += 1;
  return buffer.toString("utf8", from, end);
}

/** The kernel's error number behind a rejection of `NetlinkTransact`; undefined for any other error. */
export function errnoOf(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errno" in error)) return undefined;
  return typeof error.errno === "number" ? Math.abs(error.errno) : undefined;
}

function align(length: number): number {
  return (length + 3) & ~3;
}
