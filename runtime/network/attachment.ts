import { macOfAddress } from "./ipv4.ts";
import { NetlinkWriter } from "./netlink-message.ts";
import { hostInterfaceIndex } from "./network-names.ts";
import {
  addAddress,
  addDefaultRoute,
  createVeth,
  setLinkUp,
  setLoopbackUp,
  withoutIpv6Address,
} from "./rtnetlink.ts";

/** One of a container's interfaces. */
export type ContainerInterface = {
  readonly network: string;
  /** Inside the container: `eth0`, `eth1`, … in the order of its attachments. */
  readonly name: string;
  readonly hostInterface: string;
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly macAddress: string;
};

/** One datagram of the routing family, sent on the host while the container's init waits. */
export type HostDatagram = {
  readonly messages: Buffer;
  /** Where the init's pid (u32) is written before sending. */
  readonly patchOffset: number;
};

/** What gives a container its network: `hostMessages` in their order, then `initMessages`. */
export type Attachment = {
  readonly interfaces: readonly ContainerInterface[];
  readonly hostMessages: readonly HostDatagram[];
  /** One datagram of the routing family, sent in the container's own network namespace. */
  readonly initMessages: Buffer;
};

export type InterfacePlan = ContainerInterface & {
  readonly bridgeIndex: number;
  readonly internal: boolean;
};

/** Beyond the indexes that fallback tunnel devices take in a new namespace. */
const firstPeerIndex = 1000;

/**
 * Composes the datagrams. The default route goes through the first network that is not internal. A container
 * without an interface gets its loopback only.
 */
export function composeAttachment(
  plans: readonly InterfacePlan[],
  kernel: { readonly group: number; readonly ipv6: boolean },
): Attachment {
  const peers = plans.map((plan, position) => ({ ...plan, index: firstPeerIndex + position }));
  const hostMessages = peers.map((peer) => {
    const create = new NetlinkWriter();
    const patchOffset = createVeth(create, {
      hostName: peer.hostInterface,
      hostIndex: hostInterfaceIndex(peer.hostInterface),
      peerName: peer.name,
      peerIndex: peer.index,
      peerMac: peer.macAddress,
      bridgeIndex: peer.bridgeIndex,
      ...kernel,
    });
    return { messages: create.finish(), patchOffset };
  });
  const init = new NetlinkWriter();
  setLoopbackUp(init);
  for (const peer of peers) {
    if (kernel.ipv6) withoutIpv6Address(init, peer.index);
    addAddress(init, peer);
    setLinkUp(init, peer.index);
  }
  const outward = peers.find(({ internal }) => !internal);
  if (outward !== undefined) addDefaultRoute(init, outward);
  return {
    interfaces: plans.map(({ bridgeIndex: _index, internal: _internal, ...shown }) => shown),
    hostMessages,
    initMessages: init.finish(),
  };
}

/** The face of a lease inside a container. */
export function containerInterface(options: {
  readonly network: string;
  readonly position: number;
  readonly hostInterface: string;
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly mac: string | undefined;
}): ContainerInterface {
  const { position, mac, ...rest } = options;
  return { ...rest, name: `eth${position}`, macAddress: mac ?? macOfAddress(options.address) };
}
