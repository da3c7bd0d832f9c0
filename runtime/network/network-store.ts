import type { DatabaseSync } from "node:sqlite";
import type { PortProtocol } from "../container-spec.ts";
import type { NetworkSpec } from "../runtime.ts";
import { formatSubnet, parseSubnet, type Subnet } from "./ipv4.ts";
import { hostInterfaceIndex } from "./network-names.ts";
import { bindingName, type PortRoute } from "./published-ports.ts";

export type StoredNetwork = NetworkSpec & { readonly bridge: string; readonly subnet: Subnet };

export type StoredLease = {
  readonly containerId: string;
  readonly network: string;
  readonly address: string;
  readonly hostInterface: string;
  /** Undefined: it follows from the address. */
  readonly mac?: string;
};

export type StoredPort = PortRoute & { readonly containerId: string };

/**
 * The inventory. `state` (durable): networks and leases, which must stay the same over a reboot. `live` (gone with
 * the boot): published ports, and what was found and made in this kernel. Rows are written before the kernel is
 * touched: what a crash leaves undone shows as drift. Read once, then kept in memory beside the rows.
 */
export class NetworkStore {
  readonly #state: DatabaseSync;
  readonly #live: DatabaseSync;
  readonly #networks: Map<string, StoredNetwork>;
  /** Container id -> network -> lease. */
  readonly #leases = new Map<string, Map<string, StoredLease>>();
  /** Of the leases' interfaces on the host. */
  readonly #interfaceIndexes = new Set<number>();
  readonly #ports: Map<string, StoredPort>;

  constructor(databases: { readonly state: DatabaseSync; readonly live: DatabaseSync }) {
    this.#state = databases.state;
    this.#live = databases.live;
    this.#state.exec(stateTables);
    addColumns(this.#state);
    this.#live.exec(liveTables);
    this.#networks = new Map(readNetworks(this.#state).map((network) => [network.name, network]));
    for (const lease of readLeases(this.#state)) this.#keepLease(lease);
    this.#ports = new Map(readPorts(this.#live).map((port) => [bindingName(port), port]));
  }

  networks(): StoredNetwork[] {
    return [...this.#networks.values()];
  }

  network(name: string): StoredNetwork | undefined {
    return this.#networks.get(name);
  }

  putNetwork(network: StoredNetwork): void {
    this.#state
      .prepare(
        `INSERT INTO runtime_network (name, labels, internal, bridge, subnet, ipam) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE
           SET labels = excluded.labels, internal = excluded.internal, ipam = excluded.ipam`,
      )
      .run(
        network.name,
        JSON.stringify(network.labels),
        network.internal ? 1 : 0,
        network.bridge,
        formatSubnet(network.subnet),
        network.ipam === undefined ? null : JSON.stringify(network.ipam),
      );
    this.#networks.set(network.name, network);
  }

  deleteNetwork(name: string): void {
    this.#state.prepare("DELETE FROM runtime_network WHERE name = ?").run(name);
    this.#networks.delete(name);
  }

  leases(): StoredLease[] {
    return [...this.#leases.values()].flatMap((leases) => [...leases.values()]);
  }

  /** The leases of one container. */
  leasesOf(containerId: string): StoredLease[] {
    return [...(this.#leases.get(containerId)?.values() ?? [])];
  }

  lease(containerId: string, network: string): StoredLease | undefined {
    return this.#leases.get(containerId)?.get(network);
  }

  /** False: a lease has an interface of that name, or one that would get the same index. */
  isInterfaceFree(hostInterface: string): boolean {
    return !this.#interfaceIndexes.has(hostInterfaceIndex(hostInterface));
  }

  putLease(lease: StoredLease): void {
    this.#state
      .prepare(
        `INSERT INTO runtime_network_lease (container_id, network, address, host_interface, mac)
         VALUES (?, ?, ?, ?, ?)`,
      )
      .run(lease.containerId, lease.network, lease.address, lease.hostInterface, lease.mac ?? null);
    this.#keepLease(lease);
  }

  /** Another interface on the host for a lease. */
  moveLease(lease: StoredLease): void {
    this.#state
      .prepare(
        "UPDATE runtime_network_lease SET host_interface = ? WHERE container_id = ? AND network = ?",
      )
      .run(lease.hostInterface, lease.containerId, lease.network);
    this.#keepLease(lease);
  }

  deleteLeases(containerId: string): void {
    this.#state
      .prepare("DELETE FROM runtime_network_lease WHERE container_id = ?")
      .run(containerId);
    for (const lease of this.leasesOf(containerId)) this.#forgetInterface(lease);
    this.#leases.delete(containerId);
  }

  /** By `bindingName`. */
  ports(): ReadonlyMap<string, StoredPort> {
    return this.#ports;
  }

  /** Both in one transaction. */
  replacePorts(change: {
    readonly remove: readonly StoredPort[];
    readonly add: readonly StoredPort[];
  }): void {
    const remove = this.#live.prepare(
      "DELETE FROM runtime_network_port WHERE host_ip = ? AND protocol = ? AND host_port = ?",
    );
    const add = this.#live.prepare(
      `INSERT OR REPLACE INTO runtime_network_port
         (host_ip, protocol, host_port, container_id, address, container_port)
       VALUES (?, ?, ?, ?, ?, ?)`,
    );
    this.#live.exec("SAVEPOINT runtime_network_port");
    try {
      for (const { hostIp, protocol, hostPort } of change.remove) {
        remove.run(hostIp, protocol, hostPort);
      }
      for (const {
        hostIp,
        protocol,
        hostPort,
        containerId,
        address,
        containerPort,
      } of change.add) {
        add.run(hostIp, protocol, hostPort, containerId, address, containerPort);
      }
    } catch (error) {
      this.#live.exec("ROLLBACK TO runtime_network_port");
      throw error;
    } finally {
      this.#live.exec("RELEASE runtime_network_port");
    }
    for (const port of change.remove) this.#ports.delete(bindingName(port));
    for (const port of change.add) this.#ports.set(bindingName(port), port);
  }

  /** What is to be remembered of this kernel until it reboots. */
  kernelFact(key: string): string | undefined {
    const row = this.#live
      .prepare("SELECT value FROM runtime_network_kernel WHERE key = ?")
      .get(key);
    return row === undefined ? undefined : String(row.value);
  }

  putKernelFact(key: string, value: string): void {
    this.#live
      .prepare("INSERT OR REPLACE INTO runtime_network_kernel (key, value) VALUES (?, ?)")
      .run(key, value);
  }

  /** Forgets all networks, leases, ports and facts. */
  clear(): void {
    this.#state.exec("DELETE FROM runtime_network_lease; DELETE FROM runtime_network;");
    this.#live.exec("DELETE FROM runtime_network_port; DELETE FROM runtime_network_kernel;");
    for (const map of [this.#networks, this.#leases, this.#ports, this.#interfaceIndexes])
      map.clear();
  }

  #keepLease(lease: StoredLease): void {
    const leases = this.#leases.get(lease.containerId) ?? new Map<string, StoredLease>();
    this.#forgetInterface(leases.get(lease.network));
    this.#leases.set(lease.containerId, leases.set(lease.network, lease));
    this.#interfaceIndexes.add(hostInterfaceIndex(lease.hostInterface));
  }

  #forgetInterface(lease: StoredLease | undefined): void {
    if (lease !== undefined) this.#interfaceIndexes.delete(hostInterfaceIndex(lease.hostInterface));
  }
}

const stateTables = `
  CREATE TABLE IF NOT EXISTS runtime_network (
    name TEXT PRIMARY KEY,
    labels TEXT NOT NULL,
    internal INTEGER NOT NULL,
    bridge TEXT NOT NULL UNIQUE,
    subnet TEXT NOT NULL UNIQUE
  ) STRICT;
  CREATE TABLE IF NOT EXISTS runtime_network_lease (
    container_id TEXT NOT NULL,
    network TEXT NOT NULL,
    address TEXT NOT NULL UNIQUE,
    host_interface TEXT NOT NULL UNIQUE,
    PRIMARY KEY (container_id, network)
  ) STRICT;
`;

/** What an earlier version's tables do not have yet. */
function addColumns(state: DatabaseSync): void {
  for (const [table, column] of [
    ["runtime_network", "ipam"],
    ["runtime_network_lease", "mac"],
  ] as const) {
    const known = state.prepare("SELECT 1 FROM pragma_table_info(?) WHERE name = ?");
    if (known.get(table, column) === undefined)
      state.exec(`ALTER TABLE ${table} ADD COLUMN ${column} TEXT`);
  }
}

const liveTables = `
  CREATE TABLE IF NOT EXISTS runtime_network_port (
    host_ip TEXT NOT NULL,
    protocol TEXT NOT NULL,
    host_port INTEGER NOT NULL,
    container_id TEXT NOT NULL,
    address TEXT NOT NULL,
    container_port INTEGER NOT NULL,
    PRIMARY KEY (host_ip, protocol, host_port)
  ) STRICT;
  CREATE TABLE IF NOT EXISTS runtime_network_kernel (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT;
`;

function readNetworks(state: DatabaseSync): StoredNetwork[] {
  return state
    .prepare(
      "SELECT name, labels, internal, bridge, subnet, ipam FROM runtime_network ORDER BY name",
    )
    .all()
    .map((row) => ({
      name: String(row.name),
      labels: JSON.parse(String(row.labels)),
      internal: row.internal === 1,
      bridge: String(row.bridge),
      subnet: parseSubnet(String(row.subnet)),
      ...(row.ipam === null ? {} : { ipam: JSON.parse(String(row.ipam)) }),
    }));
}

function readLeases(state: DatabaseSync): StoredLease[] {
  return state
    .prepare(
      "SELECT container_id, network, address, host_interface, mac FROM runtime_network_lease",
    )
    .all()
    .map((row) => ({
      containerId: String(row.container_id),
      network: String(row.network),
      address: String(row.address),
      hostInterface: String(row.host_interface),
      ...(row.mac === null ? {} : { mac: String(row.mac) }),
    }));
}

function readPorts(live: DatabaseSync): StoredPort[] {
  return live
    .prepare(
      `SELECT host_ip, protocol, host_port, container_id, address, container_port
       FROM runtime_network_port`,
    )
    .all()
    .map((row) => ({
      hostIp: String(row.host_ip),
      protocol: readProtocol(row.protocol),
      hostPort: Number(row.host_port),
      containerId: String(row.container_id),
      address: String(row.address),
      containerPort: Number(row.container_port),
    }));
}

function readProtocol(value: unknown): PortProtocol {
  if (value === "tcp" || value === "udp") return value;
  throw new TypeError(`cannot read protocol ${JSON.stringify(value)} of a published port`);
}
