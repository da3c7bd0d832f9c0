import { type ContainerInterface, containerInterface } from "./attachment.ts";
import { gatewayOf } from "./bridges.ts";
import type { Firewall } from "./firewall.ts";
import { pinElement } from "./firewall-elements.ts";
import { formatAddress, formatSubnet, lastAddress, parseAddress } from "./ipv4.ts";
import { hostInterfaceIndex, hostInterfaceName } from "./network-names.ts";
import type { NetworkStore, StoredLease, StoredNetwork } from "./network-store.ts";

/** Who has which address. A lease also pins the container's future port to that address in the firewall. */
export class AddressLeases {
  readonly #instance: string;
  readonly #store: NetworkStore;
  readonly #firewall: Firewall;

  constructor(options: {
    readonly instance: string;
    readonly store: NetworkStore;
    readonly firewall: Firewall;
  }) {
    this.#instance = options.instance;
    this.#store = options.store;
    this.#firewall = options.firewall;
  }

  async lease(containerId: string, networkName: string): Promise<ContainerInterface> {
    const network = this.#network(networkName);
    const held = this.#store.leases({ containerId });
    const known = held.find((lease) => lease.network === networkName);
    if (known !== undefined) return this.#interface(known, network, held.indexOf(known));
    const all = this.#store.leases();
    const lease = {
      containerId,
      network: networkName,
      address: freeAddress(network, all),
      hostInterface: freeName(this.#instance, { containerId, network: networkName }, all),
    };
    this.#store.putLease(lease);
    await this.#firewall.change({ remove: [], add: [pinElement(lease)] });
    return this.#interface(lease, network, held.length);
  }

  async release(containerId: string): Promise<void> {
    const leases = this.#store.leases({ containerId });
    if (leases.length === 0) return;
    this.#store.deleteLeases(containerId);
    await this.#firewall.change({ remove: leases.map(pinElement), add: [] });
  }

  /** The container's interfaces in the order of these networks. */
  interfaces(containerId: string, networks: readonly string[]): ContainerInterface[] {
    const leases = this.#store.leases({ containerId });
    return networks.map((name, position) => {
      const lease = leases.find(({ network }) => network === name);
      if (lease === undefined) {
        throw new Error(
          `cannot attach container ${containerId.slice(0, 12)} to network ${name} because it has ` +
            "no address there: an address must be leased first",
        );
      }
      return this.#interface(lease, this.#network(name), position);
    });
  }

  #network(name: string): StoredNetwork {
    const network = this.#store.network(name);
    if (network === undefined) {
      throw new Error(`cannot lease an address because network ${name} does not exist`);
    }
    return network;
  }

  #interface(lease: StoredLease, network: StoredNetwork, position: number): ContainerInterface {
    return containerInterface({
      network: network.name,
      position,
      hostInterface: lease.hostInterface,
      address: lease.address,
      prefixLength: network.subnet.prefixLength,
      gateway: gatewayOf(network),
    });
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
