import type { NetworkAttachment, PortBinding } from "../container-spec.ts";
import type { KernelDrift, NetworkSpec, NetworkStatus } from "../runtime.ts";
import type { AddressLeases, AddressWish, ContainerLeases } from "./address-leases.ts";
import { type Attachment, composeAttachment } from "./attachment.ts";
import type { Bridges } from "./bridges.ts";
import { type Firewall, isClean } from "./firewall.ts";
import { firewallDrift } from "./firewall-drift.ts";
import { LeftInterfaces } from "./left-interfaces.ts";
import { linkGroup } from "./network-names.ts";
import {
  type NetworksOptions,
  networkParts,
  planNetwork,
  rulesFact,
  statusOf,
} from "./network-parts.ts";
import type { NetworkStore, StoredNetwork } from "./network-store.ts";
import { findConflicts } from "./port-conflicts.ts";
import type { PortPublisher, PublishedPorts } from "./port-publisher.ts";
import type { ProcFiles } from "./proc-files.ts";
import { contestedError, isContested } from "./subnet-choice.ts";

export type NetworksObservation = {
  readonly networks: readonly NetworkStatus[];
  readonly publishedPorts: PublishedPorts;
  readonly drift: readonly KernelDrift[];
};

const claimsMax = 16;

/** Reads what the inventory and the kernel have; makes nothing. */
export async function openNetworks(options: NetworksOptions): Promise<Networks> {
  const networks = new Networks(options);
  await networks.open();
  return networks;
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
  readonly #left: LeftInterfaces;
  readonly #ports: PortPublisher;
  #last: Promise<unknown> = Promise.resolve();
  /** Containers that may have left an interface behind: those with a lease when this process began, or attached. */
  readonly #attachedBefore: Set<string>;
  #ipv6 = false;

  constructor(options: NetworksOptions) {
    const parts = networkParts(options);
    this.#options = options;
    this.#proc = parts.proc;
    this.#store = parts.store;
    this.#bridges = parts.bridges;
    this.#firewall = parts.firewall;
    this.#leases = parts.leases;
    this.#left = new LeftInterfaces({ bridges: parts.bridges, log: options.log });
    this.#ports = parts.ports;
    this.#attachedBefore = new Set(parts.store.leases().map(({ containerId }) => containerId));
  }

  /** Learns the bridges' indexes; to be awaited before anything else. */
  async open(): Promise<void> {
    this.#ipv6 = (await this.#proc.read("/proc/net/if_inet6")) !== undefined;
    await this.#bridges.observe(this.#store.networks());
  }

  list(): NetworkStatus[] {
    return this.#store.networks().map(statusOf);
  }

  /** Makes the network, or what is missing of it, and takes over changed labels. Idempotent. */
  ensureNetwork(spec: NetworkSpec): Promise<NetworkStatus> {
    return this.#alone(async () => {
      const wished = spec.ipam?.subnet;
      const attempts = wished === undefined ? claimsMax : 1;
      for (let attempt = 0; attempt < attempts; attempt += 1) {
        const network = await this.#settled(spec, attempt);
        const isEmpty = !this.#store.leases().some((lease) => lease.network === spec.name);
        const index = this.#bridges.index(network.bridge);
        const isOurs =
          !isEmpty || !(await isContested(this.#options.transact, network.subnet, index));
        if (isOurs) return statusOf(network);
        await this.#forget(network);
      }
      throw contestedError(spec.name, wished);
    });
  }

  /** Refused while a container has an address in it. Idempotent. */
  removeNetwork(name: string): Promise<void> {
    return this.#alone(async () => {
      const network = this.#store.network(name);
      if (network === undefined) return;
      const lease = this.#store.leases().find((held) => held.network === name);
      if (lease !== undefined) {
        const holder = lease.containerId.slice(0, 12);
        throw new Error(
          `cannot remove network ${name} because container ${holder} is attached to it`,
        );
      }
      await this.#forget(network);
    });
  }

  /**
   * The container's address in a network, leased when it has none: the same one until `releaseAddresses`. The kernel
   * learns of a new lease soon, and before `conflicts` resolves.
   */
  leaseAddress(containerId: string, network: string, wish: AddressWish = {}): string {
    const isKnown = this.#store.lease(containerId, network) !== undefined;
    const address = this.#leases.lease(containerId, network, wish);
    if (!isKnown) this.#flushSoon();
    return address;
  }

  /** Gives back the container's addresses in all networks. Idempotent. */
  releaseAddresses(containerId: string): void {
    this.#leases.release(containerId);
    this.#attachedBefore.delete(containerId);
    this.#flushSoon();
  }

  leases(containerId: string): ContainerLeases {
    const leases = this.#store.leasesOf(containerId);
    return {
      addresses: Object.fromEntries(leases.map(({ network, address }) => [network, address])),
      hostInterfaces: Object.fromEntries(
        leases.map(({ network, hostInterface }) => [network, hostInterface]),
      ),
    };
  }

  /**
   * What gives the container its interfaces at start; it must hold a lease in each of the networks, and `conflicts`
   * must have been called since its last run.
   */
  attachment(containerId: string, attachments: readonly NetworkAttachment[]): Attachment {
    const interfaces = this.#leases.interfaces(
      containerId,
      attachments.map(({ network }) => network),
    );
    const plans = interfaces.map((shown) => {
      const network = this.#store.network(shown.network);
      if (network === undefined) throw new Error(`network ${shown.network} vanished`);
      const bridgeIndex = this.#bridges.index(network.bridge);
      return { ...shown, bridgeIndex, internal: network.internal };
    });
    this.#attachedBefore.add(containerId);
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
  publishedPorts(): Promise<PublishedPorts> {
    return this.#alone(() => this.#ports.list());
  }

  /**
   * Makes the way free for a start: what the last run left behind is out of the way at once, so that `attachment` can be
   * asked meanwhile, and then the container's pins are in the kernel. Throws when another container or a process of the host has one of the bindings, and names it;
   * the bindings of the containers in `takeOver` do not count.
   */
  async conflicts(
    containerId: string,
    bindings: readonly PortBinding[],
    options: { readonly takeOver?: readonly string[] } = {},
  ): Promise<void> {
    // A namespace dies some time after its last process: after a quick restart the old pair is still there.
    const wasAttached = this.#attachedBefore.delete(containerId);
    const left = wasAttached ? this.#leases.moveInterfaces(containerId) : [];
    const [[conflict]] = await Promise.all([
      findConflicts({
        bindings,
        published: [...this.#store.ports().values()],
        except: new Set([containerId, ...(options.takeOver ?? [])]),
        transact: this.#options.transact,
        proc: this.#proc,
      }),
      this.#alone(() => this.#leases.flush()),
      this.#left.leave(left),
    ]);
    if (conflict !== undefined) throw new Error(conflict.message);
  }

  /** Compares inventory and kernel. Costs three messages when no nft ruleset of the host changed since. */
  observe(): Promise<NetworksObservation> {
    return this.#alone(async () => {
      await this.#leases.flush();
      const networks = this.#store.networks();
      if (networks.length === 0 && this.#store.kernelFact(rulesFact) === undefined) {
        return { networks: [], publishedPorts: new Map(), drift: [] };
      }
      const [bridges, state] = await Promise.all([
        this.#bridges.observe(networks),
        this.#firewall.observe(),
      ]);
      const rules = firewallDrift(this.#options.instance, state, this.#store.ports());
      const publishedPorts = this.#ports.read(state.elements);
      return { networks: networks.map(statusOf), publishedPorts, drift: [...bridges, ...rules] };
    });
  }

  /** Makes the kernel what the inventory says. Does nothing without drift. */
  repair(drift: readonly KernelDrift[]): Promise<void> {
    return this.#alone(async () => {
      if (drift.length === 0) return;
      const networks = this.#store.networks();
      await this.#bridges.removeOthers(networks.map(({ bridge }) => bridge));
      if (networks.length > 0) await this.#bridges.noteForwarding();
      await this.#firewall.settle();
      for (const network of networks) {
        await this.#bridges.ensure(network, this.#hostInterfaces(network));
      }
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

  async #settled(spec: NetworkSpec, attempt: number): Promise<StoredNetwork> {
    const known = this.#store.network(spec.name);
    const network =
      known === undefined
        ? await planNetwork(spec, this.#options, this.#store.networks(), attempt)
        : { ...known, ...spec };
    this.#store.putNetwork(network);
    try {
      // The rules stand before the host forwards anything and before the bridge is there.
      await this.#bridges.noteForwarding();
      const isSame = known?.internal === spec.internal;
      if (!isSame || !isClean(await this.#firewall.observe())) await this.#firewall.settle();
      await this.#bridges.ensure(network, this.#hostInterfaces(network));
    } catch (error) {
      throw new Error(`cannot make network ${spec.name} because ${reason(error)}`, {
        cause: error,
      });
    }
    return network;
  }

  async #forget(network: StoredNetwork): Promise<void> {
    this.#store.deleteNetwork(network.name);
    await this.#firewall.settle();
    await this.#bridges.remove(network.bridge);
  }

  #hostInterfaces(network: StoredNetwork): string[] {
    return this.#store
      .leases()
      .filter((lease) => lease.network === network.name)
      .map((lease) => lease.hostInterface);
  }

  /** All leases of this turn go in one transaction; a failure is met again, and thrown, by whoever flushes next. */
  #flushSoon(): void {
    setImmediate(() => {
      this.#alone(() => this.#leases.flush()).catch((error: unknown) => {
        this.#options.log.warn("addresses are not pinned yet", { error: String(error) });
      });
    });
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {});
    return result;
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
