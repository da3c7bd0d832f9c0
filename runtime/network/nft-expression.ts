import type { NetlinkWriter } from "./netlink-message.ts";

/** One step of a rule: the kernel's virtual machine runs them in order until one does not match. */
export type Expression = {
  readonly name: string;
  write(writer: NetlinkWriter): void;
};

/** A value brought into registers, of so many bytes. */
export type Load = { readonly bytes: number; into(register: number): Expression };

/** Numbers from linux/netfilter/nf_tables.h. */
const verdictRegister = 0;
const firstRegister = 8;
const registerBytes = 4;
const dataValue = 1;
const dataVerdict = 2;
const base = { link: 0, network: 1, transport: 2 } as const;
const invert = 1;
const interfaceNameBytes = 16;

/** What a packet can be asked for. */
export const packet = {
  inputInterface: metaLoad(6, interfaceNameBytes),
  outputInterface: metaLoad(7, interfaceNameBytes),
  inputGroup: metaLoad(21, 4),
  /** "bridge", "veth", …; a rule that asks for it does not match a device that has no kind, as a network card. */
  inputKind: metaLoad(26, interfaceNameBytes),
  outputKind: metaLoad(27, interfaceNameBytes),
  transportProtocol: metaLoad(16, 1),
  etherType: payloadLoad(base.link, 12, 2),
  etherSource: payloadLoad(base.link, 6, 6),
  ipSource: payloadLoad(base.network, 12, 4),
  ipDestination: payloadLoad(base.network, 16, 4),
  /** The first byte of the source: enough to tell 127.0.0.0/8. */
  ipSourceNetwork: payloadLoad(base.network, 12, 1),
  ipDestinationNetwork: payloadLoad(base.network, 16, 1),
  /** The first two bytes: enough to tell 169.254.0.0/16. */
  ipDestinationHalf: payloadLoad(base.network, 16, 2),
  destinationPort: payloadLoad(base.transport, 2, 2),
  arpEtherSource: payloadLoad(base.network, 8, 6),
  arpIpSource: payloadLoad(base.network, 14, 4),
  connectionState: load("ct", 4, (writer) => writer.attributeU32be(2, 0)),
  connectionStatus: load("ct", 4, (writer) => writer.attributeU32be(2, 2)),
  /** `fib daddr type`: is the destination an address of this host, a broadcast, …? */
  destinationType: load("fib", 4, (writer) => writer.attributeU32be(2, 3).attributeU32be(3, 2)),
} as const;

/** The value equals these bytes. */
export function equals(value: Load, bytes: Buffer): Expression[] {
  return [value.into(firstRegister), compare(0, bytes)];
}

export function differs(value: Load, bytes: Buffer): Expression[] {
  return [value.into(firstRegister), compare(1, bytes)];
}

/** At least one of these bits of a 32-bit value in host order is set. */
export function hasBits(value: Load, bits: number): Expression[] {
  return [
    value.into(firstRegister),
    expression("bitwise", (writer) =>
      writer
        .attributeU32be(1, firstRegister)
        .attributeU32be(2, firstRegister)
        .attributeU32be(3, 4)
        .nested(4, () => writer.attributeBytes(dataValue, hostOrder(bits)))
        .nested(5, () => writer.attributeBytes(dataValue, hostOrder(0))),
    ),
    compare(1, hostOrder(0)),
  ];
}

/** The concatenation of the values is an element of the set. */
export function isIn(set: string, ...values: readonly Load[]): Expression[] {
  return [...concatenate(values), lookup(set, {})];
}

export function isNotIn(set: string, ...values: readonly Load[]): Expression[] {
  return [...concatenate(values), lookup(set, { flags: invert })];
}

/** Sends the packet to the address and port that the map has for the concatenation of the values. */
export function destinationFrom(map: string, ...values: readonly Load[]): Expression[] {
  const [ipv4, destination] = [2, 1];
  return [
    ...concatenate(values),
    lookup(map, { destinationRegister: firstRegister }),
    expression("nat", (writer) =>
      writer
        .attributeU32be(1, destination)
        .attributeU32be(2, ipv4)
        .attributeU32be(3, firstRegister)
        .attributeU32be(5, firstRegister + 1),
    ),
  ];
}

export const masquerade: readonly Expression[] = [expression("masq", () => {})];
export const drop: readonly Expression[] = [verdict(0)];
export const accept: readonly Expression[] = [verdict(1)];

export function goTo(chain: string): readonly Expression[] {
  return [verdict(-4, chain)];
}

export function hostOrder(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function concatenate(values: readonly Load[]): Expression[] {
  let register = firstRegister;
  return values.map((value) => {
    const step = value.into(register);
    register += Math.ceil(value.bytes / registerBytes);
    return step;
  });
}

function load(name: string, bytes: number, write: (writer: NetlinkWriter) => void): Load {
  return {
    bytes,
    into: (register) =>
      expression(name, (writer) => {
        writer.attributeU32be(1, register);
        write(writer);
      }),
  };
}

function metaLoad(key: number, bytes: number): Load {
  return load("meta", bytes, (writer) => writer.attributeU32be(2, key));
}

function payloadLoad(from: number, offset: number, bytes: number): Load {
  return load("payload", bytes, (writer) =>
    writer.attributeU32be(2, from).attributeU32be(3, offset).attributeU32be(4, bytes),
  );
}

function compare(operation: number, bytes: Buffer): Expression {
  return expression("cmp", (writer) =>
    writer
      .attributeU32be(1, firstRegister)
      .attributeU32be(2, operation)
      .nested(3, () => writer.attributeBytes(dataValue, bytes)),
  );
}

function lookup(
  set: string,
  options: { readonly destinationRegister?: number; readonly flags?: number },
): Expression {
  return expression("lookup", (writer) => {
    writer.attributeString(1, set).attributeU32be(2, firstRegister);
    if (options.destinationRegister !== undefined) {
      writer.attributeU32be(3, options.destinationRegister);
    }
    if (options.flags !== undefined) writer.attributeU32be(5, options.flags);
  });
}

function verdict(code: number, chain?: string): Expression {
  return expression("immediate", (writer) =>
    writer.attributeU32be(1, verdictRegister).nested(2, () =>
      writer.nested(dataVerdict, () => {
        writer.attributeU32be(1, code >>> 0);
        if (chain !== undefined) writer.attributeString(2, chain);
      }),
    ),
  );
}

function expression(name: string, write: (writer: NetlinkWriter) => void): Expression {
  return { name, write };
}
