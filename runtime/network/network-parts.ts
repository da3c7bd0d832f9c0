import type { DatabaseSync } from "node:sqlite";
import type { Log, NetworkSpec, NetworkStatus } from "../runtime.ts";
import { AddressLeases } from "./address-leases.ts";
import { Bridges, gatewayOf } from "./bridges.ts";
import { Firewall } from "./firewall.ts";
import { expectedElements } from "./firewall-elements.ts";
import { formatSubnet, parseSubnet } from "./ipv4.ts";
import type { NetlinkTransact } from "./netlink-message.ts";
import { bridgeName, linkGroup } from "./network-names.ts";
import { NetworkStore, type StoredNetwork } from "./network-store.ts";
import { PortPublisher } from "./port-publisher.ts";
import { hostProcFiles, type ProcFiles } from "./proc-files.ts";
import { freeSubnet, wishedSubnet } from "./subnet-choice.ts";

export type NetworksOptions = {
  readonly state: DatabaseSync;
  readonly live: DatabaseSync;
  readonly instance: string;
  /** Where new networks take their /24 from: `10.210.0.0/16`. */
  readonly addressPool: string;
  /** Whether containers reach 169.254.0.0/16, asked again whenever the kernel is looked at. They do not by default. */
  readonly metadataAddress?: () => boolean;
  readonly transact: NetlinkTransact;
  readonly log: Log;
  /** /proc of the network namespace that `transact` acts on; the host's own when left out. */
  readonly proc?: ProcFiles;
};

export type NetworkParts = {
  readonly proc: ProcFiles;
  readonly store: NetworkStore;
  readonly bridges: Bridges;
  readonly firewall: Firewall;
  readonly leases: AddressLeases;
  readonly ports: PortPublisher;
};

/** Kernel fact that exists once the instance's tables were made: the digest of their rules. */
export const rulesFact = "rules";

/** The parts of one instance's networks, joined to its inventory. */
export function networkParts(options: NetworksOptions): NetworkParts {
  const { instance, transact, log } = options;
  const group = linkGroup(instance);
  const proc = options.proc ?? hostProcFiles;
  const store = new NetworkStore(options);
  const facts = {
    read: (key: string) => store.kernelFact(key),
    write: (key: string, value: string) => store.putKernelFact(key, value),
  };
  const bridges = new Bridges({ group, transact, proc, facts });
  const firewall = new Firewall({
    instance,
    ruleset: () => ({
      group,
      guardForwarding: bridges.forwardsByOurWish,
      metadataAddress: options.metadataAddress?.() ?? false,
    }),
    transact,
    expected: () =>
      expectedElements({
        networks: store.networks(),
        leases: store.leases(),
        ports: [...store.ports().values()],
      }),
    fingerprint: {
      read: () => facts.read(rulesFact),
      write: (value) => facts.write(rulesFact, value),
    },
  });
  return {
    proc,
    store,
    firewall,
    bridges,
    leases: new AddressLeases({ instance, store, firewall }),
    ports: new PortPublisher({ store, firewall, transact, log }),
  };
}

/**
 * Chooses a subnet and a bridge for a new network: the wished one, else the first free subnet, or where another instance was quicker
 * (`attempt` > 0) any free one.
 */
export async function planNetwork(
  spec: NetworkSpec,
  options: NetworksOptions,
  networks: readonly StoredNetwork[],
  attempt: number,
): Promise<StoredNetwork> {
  const taken = networks.map((network) => network.subnet);
  const subnet =
    spec.ipam?.subnet === undefined
      ? await freeSubnet(options.transact, {
          pool: parseSubnet(options.addressPool),
          taken,
          position: attempt === 0 ? 0 : Math.random(),
        })
      : await wishedSubnet(options.transact, parseSubnet(spec.ipam.subnet), taken);
  for (let number = 0; ; number += 1) {
    const bridge = bridgeName(options.instance, spec.name, number);
    if (!networks.some((network) => network.bridge === bridge)) {
      return { ...spec, bridge, subnet };
    }
  }
}

/** The network as others see it. */
export function statusOf(network: StoredNetwork): NetworkStatus {
  return { ...network, subnet: formatSubnet(network.subnet), gateway: gatewayOf(network) };
}
