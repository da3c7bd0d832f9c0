import type { DatabaseSync } from "node:sqlite";
import type { NetworkAttachment, PortBinding } from "../container-spec.ts";
import type { KernelDrift, Log, NetworkSpec, NetworkStatus } from "../runtime.ts";
import { AddressLeases } from "./address-leases.ts";
import { type Attachment, type ContainerInterface, composeAttachment } from "./attachment.ts";
import { Bridges, gatewayOf } from "./bridges.ts";
import { Firewall, type FirewallState } from "./firewall.ts";
import { firewallDrift } from "./firewall-drift.ts";
import { expectedElements } from "./firewall-elements.ts";
import { formatSubnet, parseSubnet } from "./ipv4.ts";
import type { NetlinkTransact } from "./netlink-message.ts";
import { bridgeName, linkGroup } from "./network-names.ts";
import { NetworkStore, type StoredNetwork } from "./network-store.ts";
import { findConflicts, type PortConflict } from "./port-conflicts.ts";
import { PortPublisher, type PublishedPort } from "./port-publisher.ts";
import { hostProcFiles, type ProcFiles } from "./proc-files.ts";

export type NetworksOptions = {
  readonly state: DatabaseSync;
  readonly live: DatabaseSync;
  readonly instance: string;
  /** Where new networks take their /24 from: `10.210.0.0/16`. */
  readonly addressPool: string;
  readonly transact: NetlinkTransact;
  readonly log: Log;
  /** /proc of the network namespace that `transact` acts on; the host's own when left out. */
  readonly proc?: ProcFiles;
};

export type NetworksObservation = {
  readonly networks: readonly NetworkStatus[];
  readonly ports: readonly PublishedPort[];
  readonly drift: readonly KernelDrift[];
};

export function openNetworks(options: NetworksOptions): Networks {
  return new Networks(options);
}

/**
 * The networks of one instance. Whatever changes the inventory or the kernel runs one at a time, so that the two are
 * only ever compared at rest; nothing spawns a process.
 */
export class Networks {
  readonly #options: NetworksOptions;
  readonly #proc: ProcFiles;
  readonly #store: NetworkStore;
  readonly #bridges: Bridges;
  readonly #firewall: Firewall;
  readonly #leases: AddressLeases;
  readonly #ports: PortPublisher;
  #last: Promise<unknown> = Promise.resolve();
  #ipv6: boolean | undefined;

  constructor(options: NetworksOptions) {
    const { instance, transact, log } = options;
    const group = linkGroup(instance);
    const store = new NetworkStore(options);
    const proc = options.proc ?? hostProcFiles;
    this.#options = options;
    this.#proc = proc;
    this.#store = store;
    this.#bridges = new Bridges({
      group,
      transact,
      proc,
      facts: {
        read: (key) => store.kernelFact(key),
        write: (key, value) => store.putKernelFact(key, value),
      },
    });
    this.#firewall = new Firewall({
      instance,
      group,
      transact,
      expected: () =>
        expectedElements({
          networks: store.networks(),
          leases: store.leases(),
          ports: store.ports(),
        }),
      fingerprint: {
        read: () => store.kernelFact(rulesFact),
        write: (value) => store.putKernelFact(rulesFact, value),
      },
    });
    this.#leases = new AddressLeases({ instance, store, firewall: this.#firewall });
    this.#ports = new PortPublisher({ store, firewall: this.#firewall, transact, log });
  }

  list(): NetworkStatus[] {
    return this.#store.networks().map(statusOf);
  }

  /** Makes the network, or what is missing of it, and takes over changed labels. Idempotent. */
  ensureNetwork(spec: NetworkSpec): Promise<NetworkStatus> {
    return this.#alone(async () => {
      const known = this.#store.network(spec.name);
      const network = known === undefined ? await this.#plan(spec) : { ...known, ...spec };
      this.#store.putNetwork(network);
      try {
        await this.#bridges.ensure(network, this.#hostInterfaces(network));
        const isSame = known?.internal === spec.internal;
        if (!isSame || !isClean(await this.#firewall.observe())) await this.#firewall.settle();
      } catch (error) {
        throw new Error(`cannot make network ${spec.name} because ${reason(error)}`, {
          cause: error,
        });
      }
      return statusOf(network);
    });
  }

  /** Refused while a container has an address in it. Idempotent. */
  removeNetwork(name: string): Promise<void> {
    return this.#alone(async () => {
      const network = this.#store.network(name);
      if (network === undefined) return;
      const [lease] = this.#store.leases({ network: name });
      if (lease !== undefined) {
        const holder = lease.containerId.slice(0, 12);
        throw new Error(
          `cannot remove network ${name} because container ${holder} is attached to it`,
        );
      }
      this.#store.deleteNetwork(name);
      await this.#firewall.settle();
      await this.#bridges.remove(network.bridge);
    });
  }

  /** The container's address in a network: the same one until `releaseAddresses`. */
  leaseAddress(containerId: string, network: string): Promise<ContainerInterface> {
    return this.#alone(() => this.#leases.lease(containerId, network));
  }

  /** Gives back the container's addresses in all networks. Idempotent. */
  releaseAddresses(containerId: string): Promise<void> {
    return this.#alone(() => this.#leases.release(containerId));
  }

  /** What gives the container its interfaces at start; it must hold a lease in each of the networks. */
  async attachment(
    containerId: string,
    attachments: readonly NetworkAttachment[],
  ): Promise<Attachment> {
    const interfaces = this.#leases.interfaces(
      containerId,
      attachments.map(({ network }) => network),
    );
    const plans = await Promise.all(
      interfaces.map(async (shown) => {
        const network = this.#store.network(shown.network);
        if (network === undefined) throw new Error(`cannot attach to network ${shown.network}`);
        const bridgeIndex = await this.#bridges.index(network.bridge);
        return { ...shown, bridgeIndex, internal: network.internal };
      }),
    );
    this.#ipv6 ??= (await this.#proc.read("/proc/net/if_inet6")) !== undefined;
    return composeAttachment(plans, { group: linkGroup(this.#options.instance), ipv6: this.#ipv6 });
  }

  /**
   * Sends these bindings, and no others, to the container's address, in one transaction. Bindings that another
   * container had are taken over: that is how a port is flipped.
   */
  publish(containerId: string, bindings: readonly PortBinding[], address: string): Promise<void> {
    return this.#alone(() => this.#ports.publish(containerId, bindings, address));
  }

  /** Takes back the bindings that the container still has. Idempotent. */
  withdraw(containerId: string): Promise<void> {
    return this.#alone(() => this.#ports.publish(containerId, [], ""));
  }

  /** What the kernel sends where, at this moment. */
  publishedPorts(): Promise<PublishedPort[]> {
    return this.#alone(() => this.#ports.list());
  }

  /** Bindings that other containers or processes of the host have; `except` names containers to be replaced. */
  conflicts(
    bindings: readonly PortBinding[],
    options: { readonly except?: readonly string[] } = {},
  ): Promise<PortConflict[]> {
    return findConflicts({
      bindings,
      published: this.#store.ports(),
      except: new Set(options.except),
      proc: this.#proc,
    });
  }

  /** Compares inventory and kernel. Costs three messages when no nft ruleset of the host changed since. */
  observe(): Promise<NetworksObservation> {
    return this.#alone(async () => {
      const networks = this.#store.networks();
      if (networks.length === 0 && this.#store.kernelFact(rulesFact) === undefined) {
        return { networks: [], ports: [], drift: [] };
      }
      const [bridges, state] = await Promise.all([
        this.#bridges.observe(networks),
        this.#firewall.observe(),
      ]);
      const drift = [...bridges, ...firewallDrift(this.#options.instance, state)];
      return { networks: networks.map(statusOf), ports: this.#ports.read(state.elements), drift };
    });
  }

  /** Makes the kernel what the inventory says. Does nothing without drift. */
  repair(drift: readonly KernelDrift[]): Promise<void> {
    return this.#alone(async () => {
      if (drift.length === 0) return;
      const networks = this.#store.networks();
      await this.#bridges.removeOthers(networks.map(({ bridge }) => bridge));
      for (const network of networks) {
        await this.#bridges.ensure(network, this.#hostInterfaces(network));
      }
      await this.#firewall.settle();
    });
  }

  /** Removes all that the instance has in the kernel's networking, and forgets its networks. Idempotent. */
  destroy(): Promise<void> {
    return this.#alone(async () => {
      await this.#firewall.destroy();
      await this.#bridges.removeOthers([]);
      const { kept } = await this.#bridges.restoreSettings();
      if (kept !== undefined) this.#options.log.info("host setting kept", { kept });
      this.#store.clear();
    });
  }

  async #plan(spec: NetworkSpec): Promise<StoredNetwork> {
    const networks = this.#store.networks();
    const subnet = await this.#bridges.freeSubnet(
      parseSubnet(this.#options.addressPool),
      networks.map((network) => network.subnet),
    );
    for (let attempt = 0; ; attempt += 1) {
      const bridge = bridgeName(this.#options.instance, spec.name, attempt);
      if (networks.some((network) => network.bridge === bridge)) continue;
      const { name, labels, internal } = spec;
      return { name, labels, internal, bridge, subnet };
    }
  }

  #hostInterfaces(network: StoredNetwork): string[] {
    return this.#store.leases({ network: network.name }).map((lease) => lease.hostInterface);
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {});
    return result;
  }
}

const rulesFact = "rules";

function statusOf(network: StoredNetwork): NetworkStatus {
  const { name, labels, internal, bridge } = network;
  const [subnet, gateway] = [formatSubnet(network.subnet), gatewayOf(network)];
  return { name, labels, internal, bridge, subnet, gateway };
}

function isClean(state: FirewallState): boolean {
  return state.intact && state.differences.length === 0;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
