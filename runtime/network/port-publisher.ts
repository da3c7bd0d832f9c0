import type { PortBinding } from "../container-spec.ts";
import type { Log } from "../runtime.ts";
import type { Firewall } from "./firewall.ts";
import type { NetlinkTransact } from "./netlink-message.ts";
import type { NetworkStore, StoredPort } from "./network-store.ts";
import type { SetElement } from "./nfnetlink.ts";
import { bindingName, type PortRoute, portElement, readPortElement } from "./published-ports.ts";
import type { SetName } from "./ruleset.ts";
import { endUdpFlows } from "./udp-flows.ts";

/** Container id -> the bindings that the kernel sends to it. */
export type PublishedPorts = ReadonlyMap<string, readonly PortBinding[]>;

export type PortPublisherOptions = {
  readonly store: NetworkStore;
  readonly firewall: Firewall;
  readonly transact: NetlinkTransact;
  readonly log: Log;
};

const portSets = ["published", "published_any"] as const satisfies readonly SetName[];

/** Keeps the port maps of the kernel and of the inventory in step. */
export class PortPublisher {
  readonly #options: PortPublisherOptions;

  constructor(options: PortPublisherOptions) {
    this.#options = options;
  }

  async publish(
    containerId: string,
    bindings: readonly PortBinding[],
    address: string,
  ): Promise<void> {
    const { store, firewall } = this.#options;
    const wanted = new Map<string, StoredPort>();
    for (const { hostIp, hostPort, containerPort, protocol } of bindings) {
      const port = { hostIp, hostPort, containerPort, protocol, address, containerId };
      wanted.set(bindingName(port), port);
    }
    const current = new Map(store.ports());
    const add = [...wanted].flatMap(([name, port]) =>
      isSamePort(current.get(name), port) ? [] : port,
    );
    const remove = [...current].flatMap(([name, port]) => {
      const next = wanted.get(name);
      const goes = next === undefined ? port.containerId === containerId : !isSamePort(port, next);
      return goes ? port : [];
    });
    if (add.length + remove.length === 0) return;
    store.replacePorts({ remove, add });
    try {
      await firewall.change({
        remove: remove
          .filter((port) => !hasSameRoute(wanted.get(bindingName(port)), port))
          .map(portElement),
        add: add
          .filter((port) => !hasSameRoute(current.get(bindingName(port)), port))
          .map(portElement),
      });
    } catch (error) {
      store.replacePorts({ remove: add, add: remove });
      const names = [...add, ...remove].map(bindingName).join(", ");
      const cause = error instanceof Error ? error.message : String(error);
      throw new Error(`cannot change published ports ${names} because ${cause}`, { cause: error });
    }
    await this.#endStrayFlows([...add, ...remove]);
  }

  async list(): Promise<PublishedPorts> {
    const dumps = await Promise.all(portSets.map((set) => this.#options.firewall.elements(set)));
    return this.read(new Map(portSets.map((set, index) => [set, dumps[index] ?? []])));
  }

  /** The ports among the elements of a dump, those to addresses that nobody leased left out. */
  read(elements: ReadonlyMap<SetName, readonly SetElement[]>): PublishedPorts {
    const owners = new Map(
      this.#options.store.leases().map(({ address, containerId }) => [address, containerId]),
    );
    const published = new Map<string, PortBinding[]>();
    for (const set of portSets) {
      for (const element of elements.get(set) ?? []) {
        const route = readPortElement(set, element);
        const owner = route === undefined ? undefined : owners.get(route.address);
        if (route === undefined || owner === undefined) continue;
        const { address: _address, ...binding } = route;
        const bindings = published.get(owner);
        if (bindings === undefined) published.set(owner, [binding]);
        else bindings.push(binding);
      }
    }
    return published;
  }

  /** The change is made already: a failure here must not look like one of it. */
  async #endStrayFlows(changed: readonly StoredPort[]): Promise<void> {
    const { store, transact, log } = this.#options;
    const hostPorts = new Set(
      changed.filter(({ protocol }) => protocol === "udp").map(({ hostPort }) => hostPort),
    );
    for (const hostPort of hostPorts) {
      const keep = [...store.ports().values()]
        .filter((port) => port.protocol === "udp" && port.hostPort === hostPort)
        .map(({ address }) => address);
      try {
        await endUdpFlows(transact, hostPort, new Set(keep));
      } catch (error) {
        log.warn("cannot end UDP flows of a changed port", { hostPort, error: String(error) });
      }
    }
  }
}

function isSamePort(one: StoredPort | undefined, other: StoredPort): boolean {
  return one?.containerId === other.containerId && hasSameRoute(one, other);
}

function hasSameRoute(one: PortRoute | undefined, other: PortRoute): boolean {
  return one?.address === other.address && one.containerPort === other.containerPort;
}
