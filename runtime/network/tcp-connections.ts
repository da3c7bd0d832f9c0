import {
  attribute,
  beginConntrack,
  conntrackMessage,
  readTuple,
  tuplePart,
} from "./conntrack-message.ts";
import { addressBytes } from "./ipv4.ts";
import {
  messageFlag,
  type NetlinkTransact,
  NetlinkWriter,
  netlinkFamily,
  readAttributes,
  readMessages,
} from "./netlink-message.ts";

/** Numbers of linux/netfilter/nfnetlink_conntrack.h and nf_conntrack_tcp.h. */
const [protocolInfo, protocolInfoTcp, protocolInfoTcpState] = [4, 1, 1];
const [filterReplyFlags, filterAddressSource] = [2, 1 << 0];
const [stateNone, stateEstablished] = [0, 3];
const tcp = 6;
const headerBytes = 4;

/** TCP connections that this host translates to an address, and that are being set up or are open. */
export async function openTcpConnections(
  transact: NetlinkTransact,
  address: string,
): Promise<number> {
  const request = new NetlinkWriter();
  beginConntrack(request, conntrackMessage.get, messageFlag.dump);
  request.nested(attribute.reply, () =>
    request.nested(tuplePart.addresses, () =>
      request.attributeBytes(1, addressBytes(address)).attributeBytes(2, addressBytes("0.0.0.0")),
    ),
  );
  request.nested(attribute.filter, () =>
    request.attributeU32(1, 0).attributeU32(filterReplyFlags, filterAddressSource),
  );
  const reply = await transact({
    family: netlinkFamily.netfilter,
    messages: request.finish(),
    replies: true,
  });
  return readMessages(reply).filter(
    ({ type, payload }) =>
      type === conntrackMessage.new && isOpen(payload.subarray(headerBytes), address),
  ).length;
}

/** A kernel that knows no filter shows all: hence the look at address and protocol. */
function isOpen(payload: Buffer, address: string): boolean {
  const attributes = readAttributes(payload);
  const back = attributes.get(attribute.reply) ?? Buffer.alloc(0);
  const source = readTuple(back, tuplePart.addresses).get(1);
  const protocol = readTuple(back, tuplePart.protocol).get(1)?.readUInt8();
  if (protocol !== tcp || source === undefined) return false;
  if (!source.equals(addressBytes(address))) return false;
  const info = readAttributes(attributes.get(protocolInfo) ?? Buffer.alloc(0));
  const state = readAttributes(info.get(protocolInfoTcp) ?? Buffer.alloc(0))
    .get(protocolInfoTcpState)
    ?.readUInt8();
  return state !== undefined && state > stateNone && state <= stateEstablished;
}
