import type { KernelDrift, NetworkIpam } from "../runtime.ts";
import { formatAddress, macOfAddress, type Subnet } from "./ipv4.ts";
import { errnoOf, type NetlinkTransact, NetlinkWriter, netlinkFamily } from "./netlink-message.ts";
import type { StoredNetwork } from "./network-store.ts";
import type { ProcFiles } from "./proc-files.ts";
import {
  addAddress,
  attachToBridge,
  createBridge,
  deleteLink,
  deleteStation,
  setLinkUp,
} from "./rtnetlink.ts";
import { dumpAddresses, dumpLinks, type Link, readAddresses, readLinks } from "./rtnetlink-dump.ts";

export type BridgesOptions = {
  /** Link group of the instance's interfaces. */
  readonly group: number;
  readonly transact: NetlinkTransact;
  readonly proc: ProcFiles;
  /** Remembers what a host-wide setting was before it was changed; kept until the boot ends. */
  readonly facts: {
    read(key: string): string | undefined;
    write(key: string, value: string): void;
  };
};

/** `/proc/sys` paths of a bridge and their values. */
type Setting = { readonly path: string; readonly value: string };

const enodev = 19;
/** The bridge had not learnt it; the port is gone, or was taken from its bridge. */
const stationUnknown: ReadonlySet<number | undefined> = new Set([2, enodev, 22, 95]);
const forwardingPath = "/proc/sys/net/ipv4/ip_forward";
const forwardingFact = "ip_forward";

/** The bridges of the instance's networks, with their gateway addresses and kernel settings. */
export class Bridges {
  readonly #options: BridgesOptions;
  readonly #indexes = new Map<string, number>();

  constructor(options: BridgesOptions) {
    this.#options = options;
  }

  /** The host does not forward but for us: it must not become a router for anybody else. */
  get forwardsByOurWish(): boolean {
    return this.#options.facts.read(forwardingFact) === "0";
  }

  /**
   * Notes what forwarding was before `ensure` turns it on, so that the rules can stand first. Where the host had it
   * on and it was turned off since, it is from now on for us.
   */
  async noteForwarding(): Promise<void> {
    const { facts } = this.#options;
    const found = await this.#read(forwardingPath);
    const isNews = facts.read(forwardingFact) === undefined || found === "0";
    if (isNews) facts.write(forwardingFact, found ?? "1");
  }

  /** Makes what is missing of a network's bridge, and takes back the ports that lost it. Idempotent. */
  async ensure(network: StoredNetwork, hostInterfaces: readonly string[]): Promise<void> {
    await this.noteForwarding();
    await this.#set({ path: forwardingPath, value: "1" });
    let bridge = await this.#find(network.bridge);
    if (bridge === undefined) {
      const mac = macOfAddress(gatewayOf(network));
      const { group } = this.#options;
      await this.#send((writer) => createBridge(writer, { name: network.bridge, mac, group }));
      bridge = await this.#find(network.bridge);
      if (bridge === undefined) throw new Error(`cannot find bridge ${network.bridge} just made`);
    }
    const { index } = bridge;
    this.#indexes.set(network.bridge, index);
    for (const setting of settingsOf(network.bridge)) await this.#set(setting);
    const addresses = readAddresses(await this.#ask(dumpAddresses()));
    await this.#send((writer) => {
      if (!addresses.some((found) => isGateway(found, network, index))) {
        const { prefixLength } = network.subnet;
        addAddress(writer, { index, address: gatewayOf(network), prefixLength });
      }
      if (!bridge.up) setLinkUp(writer, index);
    });
    await this.#takeBackPorts(index, hostInterfaces);
  }

  /** Index of a bridge in the kernel, as it was seen last. */
  index(bridge: string): number {
    const known = this.#indexes.get(bridge);
    if (known === undefined) {
      throw new Error(
        `cannot attach to bridge ${bridge}: it does not exist, repair makes it again`,
      );
    }
    return known;
  }

  /** Idempotent. */
  async remove(name: string): Promise<void> {
    this.#indexes.delete(name);
    try {
      await this.#send((writer) => deleteLink(writer, name));
    } catch (error) {
      if (errnoOf(error) !== enodev) throw error;
    }
  }

  /** Frames to this hardware address go to all ports, until one is heard of again. Idempotent. */
  async forgetStation(portIndex: number, mac: string): Promise<void> {
    try {
      await this.#send((writer) => deleteStation(writer, { portIndex, mac }));
    } catch (error) {
      if (!stationUnknown.has(errnoOf(error))) throw error;
    }
  }

  /**
   * Removes the instance's bridges that are not among these; with none to keep, all of its links. A container's
   * port whose bridge is gone is kept for `ensure` to take back. Idempotent.
   */
  async removeOthers(bridges: readonly string[]): Promise<void> {
    const links = readLinks(await this.#ask(dumpLinks()));
    const ours = links.filter(({ group }) => group === this.#options.group);
    const kept = ours.filter(({ name }) => bridges.includes(name)).map(({ index }) => index);
    for (const { name, index, kind } of ours) {
      const isKept = kept.includes(index) || (bridges.length > 0 && kind === "veth");
      if (!isKept) await this.remove(name);
    }
  }

  /** Two dumps and a few reads of /proc. */
  async observe(networks: readonly StoredNetwork[]): Promise<KernelDrift[]> {
    const [links, addresses] = await Promise.all([
      this.#ask(dumpLinks("bridge")).then(readLinks),
      this.#ask(dumpAddresses()).then(readAddresses),
    ]);
    const known = new Set(networks.map(({ bridge }) => bridge));
    const drift: KernelDrift[] = links
      .filter(({ name, group }) => group === this.#options.group && !known.has(name))
      .map(({ name }) => bridgeDrift(name, "link", "present", "absent"));
    for (const network of networks) {
      const link = links.find(({ name }) => name === network.bridge);
      const report = (field: string, from: string, to: string) =>
        drift.push(bridgeDrift(network.bridge, field, from, to));
      if (link === undefined) {
        this.#indexes.delete(network.bridge);
        report("link", "absent", "present");
        continue;
      }
      this.#indexes.set(network.bridge, link.index);
      if (!link.up) report("link", "down", "up");
      if (!addresses.some((found) => isGateway(found, network, link.index))) {
        report("address", "absent", `${gatewayOf(network)}/${network.subnet.prefixLength}`);
      }
      for (const setting of settingsOf(network.bridge)) {
        const found = await this.#read(setting.path);
        if (found !== undefined && found !== setting.value) {
          report(setting.path, found, setting.value);
        }
      }
    }
    const forwarding = await this.#read(forwardingPath);
    if (networks.length > 0 && forwarding !== "1") {
      drift.push(bridgeDrift("host", forwardingPath, forwarding ?? "absent", "1"));
    }
    return drift;
  }

  /** Puts back the host-wide settings, unless bridges that are not ours may rely on them. */
  async restoreSettings(): Promise<{ readonly kept?: string }> {
    const before = this.#options.facts.read(forwardingFact);
    if (before === undefined || before === "1") return {};
    const others = readLinks(await this.#ask(dumpLinks("bridge")));
    const [first] = others;
    if (first !== undefined)
      return { kept: `${forwardingPath} stays 1: bridge ${first.name} is up` };
    await this.#options.proc.write(forwardingPath, before);
    return {};
  }

  async #takeBackPorts(bridgeIndex: number, names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const wanted = new Set(names);
    const links = readLinks(await this.#ask(dumpLinks("veth")));
    await this.#send((writer) => {
      for (const link of links) {
        if (!wanted.has(link.name)) continue;
        if (link.master !== bridgeIndex) attachToBridge(writer, { name: link.name, bridgeIndex });
        if (link.master !== bridgeIndex || !link.up) setLinkUp(writer, link.index);
      }
    });
  }

  async #find(bridge: string): Promise<Link | undefined> {
    const links = readLinks(await this.#ask(dumpLinks("bridge")));
    return links.find(({ name }) => name === bridge);
  }

  /** A setting that this kernel does not have (no IPv6) is passed over. */
  async #set({ path, value }: Setting): Promise<void> {
    const found = await this.#read(path);
    if (found !== undefined && found !== value) await this.#options.proc.write(path, value);
  }

  async #read(path: string): Promise<string | undefined> {
    return (await this.#options.proc.read(path))?.trim();
  }

  async #ask(messages: Buffer): Promise<Buffer> {
    return this.#options.transact({ family: netlinkFamily.route, messages, replies: true });
  }

  async #send(write: (writer: NetlinkWriter) => void): Promise<void> {
    const writer = new NetlinkWriter();
    write(writer);
    if (writer.length === 0) return;
    await this.#options.transact({
      family: netlinkFamily.route,
      messages: writer.finish(),
      replies: false,
    });
  }
}

/** The bridge's own address: the first of the subnet, unless the network says otherwise. */
export function gatewayOf(network: {
  readonly subnet: Subnet;
  readonly ipam?: NetworkIpam;
}): string {
  return network.ipam?.gateway ?? formatAddress(network.subnet.base + 1);
}

function settingsOf(bridge: string): readonly Setting[] {
  const [ipv4, ipv6] = ["ipv4", "ipv6"].map((version) => `/proc/sys/net/${version}/conf/${bridge}`);
  return [
    // Lets 127.0.0.1:PORT of the host reach a container; the martians chain closes what this opens.
    { path: `${ipv4}/route_localnet`, value: "1" },
    { path: `${ipv4}/send_redirects`, value: "0" },
    // A rogue router advertisement must not move the host's default route (CVE-2020-13401).
    { path: `${ipv6}/accept_ra`, value: "0" },
    { path: `${ipv6}/disable_ipv6`, value: "1" },
  ];
}

function bridgeDrift(target: string, field: string, from: string, to: string): KernelDrift {
  return { kind: "bridge-missing", target, field, from, to };
}

function isGateway(
  found: { readonly index: number; readonly address: string; readonly prefixLength: number },
  network: StoredNetwork,
  index: number,
): boolean {
  return (
    found.index === index &&
    found.address === gatewayOf(network) &&
    found.prefixLength === network.subnet.prefixLength
  );
}
