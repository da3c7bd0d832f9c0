/**
 * What the instance's two nft tables hold. `ip <instance>`: published ports, masquerading, isolation, and a guard
 * that keeps the host from routing for others because of us.
 * `bridge <instance>`: what a container may send as its own source. The bridge family is where spoofing is stopped
 * because only there a frame is seen with the port it came in by, before the bridge learns from it, and ARP too;
 * ports are told by their link group, so a container without a pin has no network rather than a free one.
 */

import { type NftFamily, nftFamily } from "./nfnetlink.ts";
import {
  accept,
  destinationFrom,
  differs,
  drop,
  type Expression,
  equals,
  goTo,
  hasBits,
  hostOrder,
  isIn,
  isNotIn,
  masquerade,
  packet,
} from "./nft-expression.ts";

export type SetName =
  | "bridges"
  | "internal"
  | "same_bridge"
  | "subnets"
  | "published"
  | "published_any"
  | "pins";

export type SetDefinition = {
  readonly family: NftFamily;
  readonly name: SetName;
  /** Data types as nft numbers them (for its listings) and their lengths in bytes. */
  readonly key: readonly DataType[];
  readonly data?: readonly DataType[];
  readonly interval: boolean;
};

export type ChainDefinition = {
  readonly family: NftFamily;
  readonly name: string;
  readonly hook?: {
    readonly type: "filter" | "nat";
    readonly number: number;
    readonly priority: number;
  };
  readonly rules: readonly (readonly Expression[])[];
};

export type DataType = { readonly id: number; readonly bytes: number };

/** Data types of nft (include/datatype.h of nftables). */
export const dataType = {
  address: { id: 7, bytes: 4 },
  ether: { id: 9, bytes: 6 },
  protocol: { id: 12, bytes: 1 },
  port: { id: 13, bytes: 2 },
  interface: { id: 41, bytes: 16 },
} as const;

const { ip, bridge } = nftFamily;

export const setDefinitions: readonly SetDefinition[] = [
  { family: ip, name: "bridges", key: [dataType.interface], interval: false },
  { family: ip, name: "internal", key: [dataType.interface], interval: false },
  {
    family: ip,
    name: "same_bridge",
    key: [dataType.interface, dataType.interface],
    interval: false,
  },
  { family: ip, name: "subnets", key: [dataType.interface, dataType.address], interval: true },
  {
    family: ip,
    name: "published",
    key: [dataType.address, dataType.protocol, dataType.port],
    data: [dataType.address, dataType.port],
    interval: false,
  },
  {
    family: ip,
    name: "published_any",
    key: [dataType.protocol, dataType.port],
    data: [dataType.address, dataType.port],
    interval: false,
  },
  {
    family: bridge,
    name: "pins",
    key: [dataType.interface, dataType.ether, dataType.address],
    interval: false,
  },
];

/** Hooks and priorities of linux/netfilter_ipv4.h and netfilter_bridge.h. */
const hook = {
  raw: { type: "filter", number: 0, priority: -300 },
  input: { type: "filter", number: 1, priority: 0 },
  forward: { type: "filter", number: 2, priority: 0 },
  natPrerouting: { type: "nat", number: 0, priority: -100 },
  natOutput: { type: "nat", number: 3, priority: -100 },
  natPostrouting: { type: "nat", number: 4, priority: 100 },
  /** Before br_netfilter (0) and before the bridge learns the source. */
  bridgePrerouting: { type: "filter", number: 0, priority: -300 },
} as const;

const loopbackNetwork = Buffer.of(127);
const linkLocalNetwork = Buffer.of(169, 254);
const [protocolTcp, protocolUdp] = [Buffer.of(6), Buffer.of(17)];
const dnsPort = Buffer.of(0, 53);
const localType = hostOrder(2);
const [establishedOrRelated, destinationTranslated] = [0x2 | 0x4, 0x20];
const etherTypeIp = Buffer.of(0x08, 0x00);
const etherTypeArp = Buffer.of(0x08, 0x06);
const bridgeKind = Buffer.from("bridge".padEnd(16, "\0"), "latin1");

export type RulesetOptions = {
  /** Link group of the instance's interfaces. */
  readonly group: number;
  /** Forwarding is on because the instance turned it on: it is for containers alone. */
  readonly guardForwarding: boolean;
  /** Containers reach 169.254.0.0/16, where clouds serve the host's credentials. */
  readonly metadataAddress: boolean;
};

/** The chains, those without a hook first. */
export function chainDefinitions(options: RulesetOptions): readonly ChainDefinition[] {
  const { inputInterface, outputInterface, ipSource } = packet;
  const published = hasBits(packet.connectionStatus, destinationTranslated);
  const toThisHost = [...equals(packet.destinationType, localType), ...goTo("publish")];
  return [
    { family: ip, name: "publish", rules: publishRules() },
    { family: ip, name: "guard", rules: guardRules() },
    {
      // CVE-2020-8558: route_localnet is on for the bridges, so loopback addresses must not come in by them.
      family: ip,
      name: "martians",
      hook: hook.raw,
      rules: [packet.ipDestinationNetwork, packet.ipSourceNetwork].map((network) => [
        ...isIn("bridges", inputInterface),
        ...equals(network, loopbackNetwork),
        ...drop,
      ]),
    },
    {
      family: ip,
      name: "link_local",
      hook: hook.raw,
      rules: options.metadataAddress ? [] : linkLocalRules(),
    },
    { family: ip, name: "prerouting", hook: hook.natPrerouting, rules: [toThisHost] },
    { family: ip, name: "output", hook: hook.natOutput, rules: [toThisHost] },
    {
      family: ip,
      name: "input",
      hook: hook.input,
      rules: [
        // What the host began is answered; nothing begins at a container of an internal network.
        [...hasBits(packet.connectionState, establishedOrRelated), ...accept],
        [...isIn("internal", inputInterface), ...drop],
      ],
    },
    {
      family: ip,
      name: "forward",
      hook: hook.forward,
      rules: [...(options.guardForwarding ? [toGuard()] : []), ...forwardRules()],
    },
    {
      family: ip,
      name: "postrouting",
      hook: hook.natPostrouting,
      rules: [
        // From the host's loopback to a container.
        [
          ...isIn("bridges", outputInterface),
          ...equals(packet.ipSourceNetwork, loopbackNetwork),
          ...masquerade,
        ],
        // To a neighbour, or to itself, by a published port: the answer must come back through this host.
        [...published, ...isIn("subnets", outputInterface, ipSource), ...masquerade],
        // Leaving for elsewhere.
        [
          ...isIn("subnets", inputInterface, ipSource),
          ...isNotIn("bridges", outputInterface),
          ...masquerade,
        ],
      ],
    },
    {
      family: bridge,
      name: "prerouting",
      hook: hook.bridgePrerouting,
      rules: pinRules(options.group),
    },
  ];
}

/**
 * Before any translation, so that neither a published port nor an address of the host's own leads around it. Clouds
 * have their name servers there, too. A fragment without ports is no question to one of them, and is dropped.
 */
function linkLocalRules(): Expression[][] {
  const toLinkLocal = [
    ...isIn("bridges", packet.inputInterface),
    ...equals(packet.ipDestinationHalf, linkLocalNetwork),
  ];
  const questions = [protocolUdp, protocolTcp].map((protocol) => [
    ...toLinkLocal,
    ...equals(packet.transportProtocol, protocol),
    ...equals(packet.destinationPort, dnsPort),
    ...accept,
  ]);
  return [...questions, [...toLinkLocal, ...drop]];
}

function publishRules(): Expression[][] {
  const { ipDestination, transportProtocol, destinationPort } = packet;
  return [
    destinationFrom("published", ipDestination, transportProtocol, destinationPort),
    destinationFrom("published_any", transportProtocol, destinationPort),
  ];
}

function forwardRules(): Expression[][] {
  const { inputInterface, outputInterface } = packet;
  const published = hasBits(packet.connectionStatus, destinationTranslated);
  return [
    [...hasBits(packet.connectionState, establishedOrRelated), ...accept],
    // Bridged frames come by here where br_netfilter is on.
    [...isIn("same_bridge", inputInterface, outputInterface), ...accept],
    [...isIn("internal", inputInterface), ...drop],
    [...isIn("internal", outputInterface), ...drop],
    [...isIn("bridges", outputInterface), ...published, ...accept],
    [...isIn("bridges", outputInterface), ...drop],
  ];
}

/** Comes first: there are no established connections that the guard did not let begin. */
function toGuard(): Expression[] {
  const { inputInterface, outputInterface } = packet;
  return [
    ...isNotIn("bridges", inputInterface),
    ...isNotIn("bridges", outputInterface),
    ...goTo("guard"),
  ];
}

/**
 * For what neither comes from nor goes to our bridges. Bridges of others (Docker, libvirt, another instance) have
 * rules of their own, and may have been made after we turned forwarding on. One rule for each side: a device without
 * a kind makes a rule not match.
 */
function guardRules(): Expression[][] {
  return [
    [...equals(packet.inputKind, bridgeKind), ...accept],
    [...equals(packet.outputKind, bridgeKind), ...accept],
    [...drop],
  ];
}

/** IPv6 falls under the last rule: no container sends router advertisements (CVE-2020-13401). */
function pinRules(group: number): Expression[][] {
  const { etherType, inputInterface, etherSource, arpIpSource } = packet;
  return [
    [...differs(packet.inputGroup, hostOrder(group)), ...accept],
    [
      ...equals(etherType, etherTypeIp),
      ...isIn("pins", inputInterface, etherSource, packet.ipSource),
      ...accept,
    ],
    [
      ...equals(etherType, etherTypeArp),
      ...isIn("pins", inputInterface, etherSource, arpIpSource),
      ...isIn("pins", inputInterface, packet.arpEtherSource, arpIpSource),
      ...accept,
    ],
    [...drop],
  ];
}
