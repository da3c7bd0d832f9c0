import { type ContainerInterface, containerInterface } from "./attachment.ts";
import { gatewayOf } from "./bridges.ts";
import type { Firewall } from "./firewall.ts";
import { pinElement } from "./firewall-elements.ts";
import { formatAddress, formatSubnet, lastAddress, parseAddress } from "./ipv4.ts";
import { hostInterfaceIndex, hostInterfaceName } from "./network-names.ts";
import type { NetworkStore, StoredLease, StoredNetwork } from "./network-store.ts";
import type { NamedElement } from "./published-ports.ts";

/** The container's part in its networks, by the network's name. */
export type ContainerLeases = {
  readonly addresses: Readonly<Record<string, string>>;
  /** The host's end of each veth pair. */
  readonly hostInterfaces: Readonly<Record<string, string>>;
};

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

  /** The container's address in a network, leased when it has none. */
  lease(containerId: string, networkName: string): string {
    const known = this.#store.lease(containerId, networkName);
    if (known !== undefined) return known.address;
    const network = this.#network(networkName);
    const all = this.#store.leases();
    const lease = {
      containerId,
      network: networkName,
      address: freeAddress(network, all),
      hostInterface: freeName(this.#instance, { containerId, network: networkName }, all),
    };
    this.#store.putLease(lease);
    this.#pending.add.push(pinElement(lease));
    return lease.address;
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
      });
    });
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
  const first = network.subnet.base + 2;
  const last = lastAddress(network.subnet) - 1;
  const used = new Set(
    leases
      .filter((lease) => lease.network === network.name)
      .map((lease) => parseAddress(lease.address)),
  );
  const highest = Math.max(first - 1, ...used);
  if (highest < last) return formatAddress(highest + 1);
  for (let address = first; address <= last; address += 1) {
    if (!used.has(address)) return formatAddress(address);
  }
  throw new Error(
    `cannot lease an address in network ${network.name} because all ${used.size} of ` +
      `${formatSubnet(network.subnet)} are taken`,
  );
}

/** A name whose index is free among ours as well. */
function freeName(
  instance: string,
  container: { readonly containerId: string; readonly network: string },
  leases: readonly StoredLease[],
): string {
  const names = new Set(leases.map((lease) => lease.hostInterface));
  const indexes = new Set(leases.map((lease) => hostInterfaceIndex(lease.hostInterface)));
  for (let attempt = 0; ; attempt += 1) {
    const name = hostInterfaceName(instance, container, attempt);
    if (!names.has(name) && !indexes.has(hostInterfaceIndex(name))) return name;
  }
}
