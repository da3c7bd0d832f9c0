import {
  formatSubnet,
  lastAddress,
  overlaps,
  parseAddress,
  type Subnet,
  subnetOf,
  subnetSize,
} from "./ipv4.ts";
import { type NetlinkTransact, netlinkFamily } from "./netlink-message.ts";
import { dumpAddresses, dumpRoutes, readAddresses, readRoutes } from "./rtnetlink-dump.ts";

const prefixLength = 24;

export type SubnetWish = {
  readonly pool: Subnet;
  /** Subnets that are promised already, whether the kernel has them or not. */
  readonly taken: readonly Subnet[];
  /** 0 to 1: which of the free ones, in their order. */
  readonly position: number;
};

/** A /24 of the pool that overlaps with nothing this host has an address in or a route to, nor with `taken`. */
export async function freeSubnet(transact: NetlinkTransact, wish: SubnetWish): Promise<Subnet> {
  const { pool, taken, position } = wish;
  const used = [...taken, ...(await usedSubnets(transact))];
  const free: Subnet[] = [];
  const last = lastAddress(pool);
  for (let base = pool.base; base + 255 <= last; base += subnetSize(prefixLength)) {
    const candidate = { base, prefixLength };
    if (!used.some((other) => overlaps(candidate, other))) free.push(candidate);
  }
  const chosen = free[Math.min(free.length - 1, Math.floor(position * free.length))];
  if (chosen !== undefined) return chosen;
  throw new Error(
    `cannot find a free /24 in the address pool ${formatSubnet(pool)}: ${used.length} routes, ` +
      "addresses and networks cover it; a larger or another pool would fix it",
  );
}

/** The subnet, unless this host has an address in it, a route to it, or another network there. */
export async function wishedSubnet(
  transact: NetlinkTransact,
  wished: Subnet,
  taken: readonly Subnet[],
): Promise<Subnet> {
  const used = [...taken, ...(await usedSubnets(transact))];
  const other = used.find((subnet) => overlaps(wished, subnet));
  if (other === undefined) return wished;
  throw new Error(
    `cannot use the subnet ${formatSubnet(wished)} because this host has ${formatSubnet(other)} already: ` +
      "choose another subnet, or none",
  );
}

async function usedSubnets(transact: NetlinkTransact): Promise<readonly Subnet[]> {
  const [routes, addresses] = await Promise.all([
    ask(transact, dumpRoutes()).then(readRoutes),
    ask(transact, dumpAddresses()).then(readAddresses),
  ]);
  return [
    ...routes.filter((route) => route.prefixLength > 0),
    ...addresses.map((found) => subnetOf(parseAddress(found.address), found.prefixLength)),
  ];
}

/**
 * Whether another link has an address in the subnet of the link with this index. Two instances that choose at the same
 * moment may choose the same one: each looks again after its own address is in the kernel, so at least one sees it.
 */
export async function isContested(
  transact: NetlinkTransact,
  subnet: Subnet,
  ownIndex: number,
): Promise<boolean> {
  const addresses = readAddresses(await ask(transact, dumpAddresses()));
  return addresses.some(
    (found) =>
      found.index !== ownIndex &&
      overlaps(subnet, subnetOf(parseAddress(found.address), found.prefixLength)),
  );
}

/** Why a network could not be made whose subnet others have, too. */
export function contestedError(name: string, wished: string | undefined): Error {
  const because = `cannot make network ${name} because`;
  return new Error(
    wished === undefined
      ? `${because} others took each subnet that it chose at the same moment: ` +
          "another addressPool for this instance would fix it"
      : `${because} another interface of this host is in ${wished}: choose another subnet`,
  );
}

function ask(transact: NetlinkTransact, messages: Buffer): Promise<Buffer> {
  return transact({ family: netlinkFamily.route, messages, replies: true });
}
