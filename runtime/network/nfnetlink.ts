import {
  messageFlag,
  NetlinkWriter,
  readAttributeList,
  readAttributes,
  readMessages,
  readText,
} from "./netlink-message.ts";

/** Families of nftables, linux/netfilter.h. */
export const nftFamily = { ip: 2, bridge: 7 } as const;
export type NftFamily = (typeof nftFamily)[keyof typeof nftFamily];

/** Message types of nf_tables, linux/netfilter/nf_tables.h. */
export const nftMessage = {
  newTable: 0,
  getTable: 1,
  deleteTable: 2,
  newChain: 3,
  getChain: 4,
  newRule: 6,
  getRule: 7,
  newSet: 9,
  newSetElement: 12,
  getSetElement: 13,
  deleteSetElement: 14,
  newGeneration: 15,
  getGeneration: 16,
} as const;

/** Key and, of a map, data as the kernel compares them; `keyEnd` closes the range in a set of intervals. */
export type SetElement = {
  readonly key: Buffer;
  readonly keyEnd?: Buffer;
  readonly data?: Buffer;
};

export type SetReference = {
  readonly family: NftFamily;
  readonly table: string;
  readonly set: string;
};

const subsystem = 10;
const batchBegin = 0x10;
const batchEnd = 0x11;
/** An attribute holds 64 KiB at most: with keys and data of 64 bytes this many elements fit. */
const elementsPerMessageMax = 400;
const listElement = 1;
const elementAttribute = { key: 1, data: 2, keyEnd: 10 } as const;
const elementListAttribute = { table: 1, set: 2, elements: 3 } as const;
const dataValue = 1;
const generationId = 1;
const headerBytes = 4;

/** Changes that the kernel makes all at once or not at all. */
export class NftBatch {
  readonly #writer = new NetlinkWriter();
  #changes = 0;

  constructor() {
    this.#control(batchBegin);
  }

  get isEmpty(): boolean {
    return this.#changes === 0;
  }

  /** One change; every change is acknowledged or refused by itself. `flags`: create, exclusive, append. */
  change(
    type: number,
    family: NftFamily,
    flags: number,
    write: (writer: NetlinkWriter) => void,
  ): this {
    this.#changes += 1;
    begin(this.#writer, type, family, messageFlag.request | messageFlag.ack | flags);
    write(this.#writer);
    return this;
  }

  /** The kernel refuses an element whose key is there with other data (EBUSY or EEXIST). */
  addElements(target: SetReference, elements: readonly SetElement[]): this {
    return this.#elements(nftMessage.newSetElement, messageFlag.create, target, elements);
  }

  /** The kernel refuses an element that is not there (ENOENT). */
  deleteElements(target: SetReference, elements: readonly SetElement[]): this {
    return this.#elements(nftMessage.deleteSetElement, 0, target, elements);
  }

  finish(): Buffer {
    this.#control(batchEnd);
    return this.#writer.finish();
  }

  #elements(
    type: number,
    flags: number,
    target: SetReference,
    elements: readonly SetElement[],
  ): this {
    for (let start = 0; start < elements.length; start += elementsPerMessageMax) {
      this.change(type, target.family, flags, (writer) => {
        writer
          .attributeString(elementListAttribute.table, target.table)
          .attributeString(elementListAttribute.set, target.set)
          .nested(elementListAttribute.elements, () => {
            for (const element of elements.slice(start, start + elementsPerMessageMax)) {
              writeElement(writer, element);
            }
          });
      });
    }
    return this;
  }

  #control(type: number): void {
    this.#writer.begin(type, messageFlag.request).u8(0).u8(0).u8(0).u8(subsystem);
  }
}

/** Asks for one thing (`getTable`, `getGeneration`). */
export function nftGet(
  type: number,
  family: NftFamily,
  write: (writer: NetlinkWriter) => void = () => {},
): Buffer {
  const writer = new NetlinkWriter();
  begin(writer, type, family, messageFlag.request | messageFlag.ack);
  write(writer);
  return writer.finish();
}

/**
 * Asks for all of a kind (`getChain`, `getRule`): of a table where the kernel can filter by it, or of all families.
 */
export function nftDump(type: number, family: NftFamily | "any", table?: string): Buffer {
  const writer = new NetlinkWriter();
  begin(writer, type, family === "any" ? 0 : family, messageFlag.request | messageFlag.dump);
  if (table !== undefined) writer.attributeString(1, table);
  return writer.finish();
}

export function dumpElements(target: SetReference): Buffer {
  const writer = new NetlinkWriter();
  begin(writer, nftMessage.getSetElement, target.family, messageFlag.request | messageFlag.dump);
  return writer
    .attributeString(elementListAttribute.table, target.table)
    .attributeString(elementListAttribute.set, target.set)
    .finish();
}

/** The elements of a reply to `dumpElements`. */
export function readElements(reply: Buffer): SetElement[] {
  return readNft(reply, nftMessage.newSetElement).flatMap((attributes) => {
    const list = attributes.get(elementListAttribute.elements);
    return list === undefined ? [] : readAttributeList(list).map(({ value }) => readElement(value));
  });
}

/** Attributes of every message of this type in a reply. */
export function readNft(reply: Buffer, type: number): ReadonlyMap<number, Buffer>[] {
  return readMessages(reply).flatMap((message) =>
    message.type === ((subsystem << 8) | type)
      ? readAttributes(message.payload.subarray(headerBytes))
      : [],
  );
}

/** The ruleset's generation: it differs after any change by anyone. Undefined when the reply has none. */
export function readGeneration(reply: Buffer): number | undefined {
  return readNft(reply, nftMessage.newGeneration)[0]?.get(generationId)?.readUInt32BE();
}

/** Name of the table that a chain or rule belongs to. */
export function tableNameOf(attributes: ReadonlyMap<number, Buffer>): string {
  return readText(attributes.get(1));
}

function begin(writer: NetlinkWriter, type: number, family: NftFamily | 0, flags: number): void {
  writer
    .begin((subsystem << 8) | type, flags)
    .u8(family)
    .u8(0)
    .u16(0);
}

function writeElement(writer: NetlinkWriter, element: SetElement): void {
  const { key, keyEnd, data } = element;
  writer.nested(listElement, () => {
    writer.nested(elementAttribute.key, () => writer.attributeBytes(dataValue, key));
    if (keyEnd !== undefined) {
      writer.nested(elementAttribute.keyEnd, () => writer.attributeBytes(dataValue, keyEnd));
    }
    if (data !== undefined) {
      writer.nested(elementAttribute.data, () => writer.attributeBytes(dataValue, data));
    }
  });
}

function readElement(value: Buffer): SetElement {
  const attributes = readAttributes(value);
  const read = (type: number) =>
    readAttributes(attributes.get(type) ?? Buffer.alloc(0)).get(dataValue);
  const keyEnd = read(elementAttribute.keyEnd);
  const data = read(elementAttribute.data);
  return {
    key: read(elementAttribute.key) ?? Buffer.alloc(0),
    ...(keyEnd === undefined ? {} : { keyEnd }),
    ...(data === undefined ? {} : { data }),
  };
}
