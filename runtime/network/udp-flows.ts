import {
  attribute,
  beginConntrack,
  conntrackMessage,
  readTuple,
  tuplePart,
} from "./conntrack-message.ts";
import { addressBytes, formatAddress } from "./ipv4.ts";
import {
  errnoOf,
  messageFlag,
  type NetlinkTransact,
  NetlinkWriter,
  netlinkFamily,
  readAttributes,
  readMessages,
} from "./netlink-message.ts";
import { dumpAddresses, readAddresses } from "./rtnetlink-dump.ts";

/** Numbers of linux/netfilter/nfnetlink_conntrack.h. */
const [addressSource, addressDestination] = [1, 2];
const [protocolNumber, protocolDestinationPort] = [1, 3];
const filterProtocolAndDestinationPort = (1 << 3) | (1 << 5);
const udp = 17;
const headerBytes = 4;
const enoent = 2;

/**
 * Ends the UDP flows to a host port that go elsewhere than to one of `keep`. The kernel asks the port map for the first packet of a flow only, and a client that keeps sending from one port keeps
 * its flow alive: without this it would go on talking to a container that is gone.
 */
export async function endUdpFlows(
  transact: NetlinkTransact,
  hostPort: number,
  keep: ReadonlySet<string>,
): Promise<void> {
  const request = new NetlinkWriter();
  beginConntrack(request, conntrackMessage.get, messageFlag.dump);
  writeTuple(request, hostPort);
  request.nested(attribute.filter, () =>
    request.attributeU32(1, filterProtocolAndDestinationPort).attributeU32(2, 0),
  );
  const reply = await transact({
    family: netlinkFamily.netfilter,
    messages: request.finish(),
    replies: true,
  });
  const astray = readFlows(reply, hostPort).filter(({ answeredBy }) => !keep.has(answeredBy));
  const local = astray.some(isUntranslated) ? await localAddresses(transact) : new Set<string>();
  for (const flow of astray) {
    // A container's own flow to such a port elsewhere (a name server) is none of a published port's.
    if (isUntranslated(flow) && !local.has(flow.answeredBy)) continue;
    await endFlow(transact, flow);
  }
}

type Flow = {
  readonly original: Buffer;
  readonly id: Buffer;
  readonly destination: string;
  readonly answeredBy: string;
};

function isUntranslated(flow: Flow): boolean {
  return flow.answeredBy === flow.destination;
}

async function localAddresses(transact: NetlinkTransact): Promise<ReadonlySet<string>> {
  const reply = await transact({
    family: netlinkFamily.route,
    messages: dumpAddresses(),
    replies: true,
  });
  return new Set(readAddresses(reply).map(({ address }) => address));
}

function readFlows(reply: Buffer, hostPort: number): Flow[] {
  return readMessages(reply).flatMap((message) => {
    if (message.type !== conntrackMessage.new) return [];
    const attributes = readAttributes(message.payload.subarray(headerBytes));
    const original = attributes.get(attribute.original) ?? Buffer.alloc(0);
    const id = attributes.get(attribute.id);
    const protocol = readTuple(original, tuplePart.protocol);
    const isOurs =
      protocol.get(protocolNumber)?.readUInt8() === udp &&
      protocol.get(protocolDestinationPort)?.readUInt16BE() === hostPort;
    const back = attributes.get(attribute.reply) ?? Buffer.alloc(0);
    const source = readTuple(back, tuplePart.addresses).get(addressSource);
    const destination = readTuple(original, tuplePart.addresses).get(addressDestination);
    if (!isOurs || id === undefined || source === undefined || destination === undefined) return [];
    return {
      original,
      id,
      destination: formatAddress(destination.readUInt32BE()),
      answeredBy: formatAddress(source.readUInt32BE()),
    };
  });
}

async function endFlow(transact: NetlinkTransact, flow: Flow): Promise<void> {
  const request = new NetlinkWriter();
  beginConntrack(request, conntrackMessage.delete, messageFlag.ack);
  request.nested(attribute.original, () => request.raw(flow.original));
  request.attributeBytes(attribute.id, flow.id);
  try {
    await transact({
      family: netlinkFamily.netfilter,
      messages: request.finish(),
      replies: false,
    });
  } catch (error) {
    if (errnoOf(error) !== enoent) throw error;
  }
}

function writeTuple(writer: NetlinkWriter, hostPort: number): void {
  const port = Buffer.alloc(2);
  port.writeUInt16BE(hostPort);
  writer.nested(attribute.original, () =>
    writer
      .nested(tuplePart.addresses, () =>
        writer
          .attributeBytes(1, addressBytes("0.0.0.0"))
          .attributeBytes(2, addressBytes("0.0.0.0")),
      )
      .nested(tuplePart.protocol, () =>
        writer.attributeU8(protocolNumber, udp).attributeBytes(protocolDestinationPort, port),
      ),
  );
}
