import { randomInt } from "node:crypto";
import type { NetworkAttachment } from "../container-spec.ts";
import { type ContainerInterface, containerInterface } from "./attachment.ts";
import { gatewayOf } from "./bridges.ts";
import type { Firewall } from "./firewall.ts";
import { pinElement } from "./firewall-elements.ts";
import { formatAddress, formatSubnet, lastAddress, parseAddress, parseSubnet } from "./ipv4.ts";
import { hostInterfaceName } from "./network-names.ts";
import type { NetworkStore, StoredLease, StoredNetwork } from "./network-store.ts";
import type { NamedElement } from "./published-ports.ts";

const attemptsMax = 2 ** 32;

/** The container's part in its networks, by the network's name. */
export type ContainerLeases = {
  readonly addresses: Readonly<Record<string, string>>;
  /** The host's end of each veth pair. */
  readonly hostInterfaces: Readonly<Record<string, string>>;
};

/** What a container asks of its lease. */
export type AddressWish = Pick<NetworkAttachment, "ipv4Address" | "macAddress">;

/**
 * Who has which address. A lease also pins the container's future port of the bridge to that address; pins go to
 * the kernel together, when `flush` is called next.
 */
export class AddressLeases {
  readonly #instance: string;
  readonly #store: NetworkStore;
  readonly #firewall: Firewall;
  #pending: { add: NamedElement[]; remove: NamedElement[] } = { add: [], remove: [] };

  constructor(options: {
    readonly instance: string;
    readonly store: NetworkStore;
    readonly firewall: Firewall;
  }) {
    this.#instance = options.instance;
    this.#store = options.store;
    this.#firewall = options.firewall;
  }

  /** The container's address in a network, leased when it has none: the wished one, or a free one. */
  lease(containerId: string, networkName: string, wish: AddressWish = {}): string {
    const known = this.#store.lease(containerId, networkName);
    if (known !== undefined) return known.address;
    const network = this.#network(networkName);
    const all = this.#store.leases();
    const lease = {
      containerId,
      network: networkName,
      address:
        wish.ipv4Address === undefined
          ? freeAddress(network, all)
          : wishedAddress(network, wish.ipv4Address, all),
      hostInterface: this.#freeInterface({ containerId, network: networkName }),
      ...(wish.macAddress === undefined ? {} : { mac: wish.macAddress }),
    };
    this.#store.putLease(lease);
    this.#pending.add.push(pinElement(lease));
    return lease.address;
  }

  /**
   * Gives the container's next run other interfaces on the host: those of its last one are there until the kernel has
   * taken down the network namespace. Returns the leases as they were.
   */
  moveInterfaces(containerId: string): readonly StoredLease[] {
    const before = this.#store.leasesOf(containerId);
    for (const lease of before) {
      // By chance: what is left of earlier runs is written down nowhere.
      const attempt = randomInt(attemptsMax);
      const moved = { ...lease, hostInterface: this.#freeInterface(lease, attempt) };
      this.#store.moveLease(moved);
      this.#pending.remove.push(pinElement(lease));
      this.#pending.add.push(pinElement(moved));
    }
    return before;
  }

  release(containerId: string): void {
    const leases = this.#store.leasesOf(containerId);
    if (leases.length === 0) return;
    this.#store.deleteLeases(containerId);
    this.#pending.remove.push(...leases.map(pinElement));
  }

  /** Brings the pins of new leases to the kernel and takes those of old ones away, in one transaction. */
  async flush(): Promise<void> {
    const pending = this.#pending;
    if (pending.add.length + pending.remove.length === 0) return;
    this.#pending = { add: [], remove: [] };
    try {
      await this.#firewall.change(pending);
    } catch (error) {
      this.#pending.add.unshift(...pending.add);
      this.#pending.remove.unshift(...pending.remove);
      throw error;
    }
  }

  /** The container's interfaces in the order of these networks. */
  interfaces(containerId: string, networks: readonly string[]): ContainerInterface[] {
    return networks.map((name, position) => {
      const lease = this.#store.lease(containerId, name);
      if (lease === undefined) {
        throw new Error(
          `cannot attach container ${containerId.slice(0, 12)} to network ${name} because it has ` +
            "no address there: an address must be leased first",
        );
      }
      const network = this.#network(name);
      return containerInterface({
        network: name,
        position,
        hostInterface: lease.hostInterface,
        address: lease.address,
        prefixLength: network.subnet.prefixLength,
        gateway: gatewayOf(network),
        mac: lease.mac,
      });
    });
  }

  #freeInterface(
    container: { readonly containerId: string; readonly network: string },
    firstAttempt = 0,
  ): string {
    for (let attempt = firstAttempt; ; attempt += 1) {
      const name = hostInterfaceName(this.#instance, container, attempt);
      if (this.#store.isInterfaceFree(name)) return name;
    }
  }

  #network(name: string): StoredNetwork {
    const network = this.#store.network(name);
    if (network === undefined) {
      throw new Error(`cannot lease an address because network ${name} does not exist`);
    }
    return network;
  }
}

/** The one after the highest in use, then any: an address given back is not soon given out again. */
function freeAddress(network: StoredNetwork, leases: readonly StoredLease[]): string {
  const { ipam, subnet } = network;
  const range = ipam?.range === undefined ? subnet : parseSubnet(ipam.range);
  const first = Math.max(range.base, subnet.base + 1);
  const last = Math.min(lastAddress(range), lastAddress(subnet) - 1);
  const leased = leases
    .filter((lease) => lease.network === network.name)
    .map((lease) => parseAddress(lease.address));
  const kept = [gatewayOf(network), ...(ipam?.reserved ?? [])].map(parseAddress);
  const used = new Set([...leased, ...kept]);
  const highest = Math.max(first - 1, ...leased.filter((address) => address <= last));
  for (let address = highest + 1; address <= last; address += 1) {
    if (!used.has(address)) return formatAddress(address);
  }
  for (let address = first; address <= last; address += 1) {
    if (!used.has(address)) return formatAddress(address);
  }
  throw new Error(
    `cannot lease an address in network ${network.name} because all of ` +
      `${formatSubnet(range)} are taken`,
  );
}

function wishedAddress(
  network: StoredNetwork,
  address: string,
  leases: readonly StoredLease[],
): string {
  const { subnet, name } = network;
  const number = parseAddress(address);
  const because = (reason: string) =>
    new Error(`cannot lease ${address} in network ${name} because ${reason}`);
  if (number <= subnet.base || number >= lastAddress(subnet))
    throw because(`it is no address of ${formatSubnet(subnet)}: choose one within`);
  if (address === gatewayOf(network)) throw because("it is the network's gateway: choose another");
  const holder = leases.find((lease) => lease.network === name && lease.address === address);
  if (holder !== undefined)
    throw because(`container ${holder.containerId.slice(0, 12)} has it: choose another`);
  return address;
}
