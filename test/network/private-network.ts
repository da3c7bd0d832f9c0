import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { helperPath } from "../../runtime/helper/helper-path.ts";
import { Launcher } from "../../runtime/helper/launcher.ts";
import type { AddressWish } from "../../runtime/network/address-leases.ts";
import { type NetlinkTransact, netlinkFamily } from "../../runtime/network/netlink-message.ts";
import { type Networks, openNetworks } from "../../runtime/network/networks.ts";
import type { ProcFiles } from "../../runtime/network/proc-files.ts";
import type { Log } from "../../runtime/runtime.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const outsideAddress = "198.51.100.2";
/** The host's address on the link to `outside`. */
export const hostAddress = "198.51.100.1";

/** A network namespace, kept by a process that sleeps in it. */
export type Namespace = { readonly pid: number };

export type PrivateNetwork = {
  readonly networks: Networks;
  readonly transact: NetlinkTransact;
  /** /proc as the host's namespace sees it. */
  readonly proc: ProcFiles;
  readonly host: Namespace;
  /** What the host's policy says, as it may change. */
  readonly policy: { metadataAddress: boolean };
  /** A neighbour of the host, with a route to the container networks through it. */
  readonly outside: Namespace;
  /** Where `networks` keeps what it did to the kernel. */
  readonly live: DatabaseSync;
  /** An empty network namespace, gone with the host. */
  addNamespace(): Promise<Namespace>;
  /** Opens another `Networks` on the same databases and kernel, as an agent does that was killed. */
  reopen(): Promise<Networks>;
  /** Another instance, with an inventory of its own. */
  openInstance(instance: string): Promise<Networks>;
  /** An empty network namespace with its first process, attached to the networks as at a container's start. */
  startContainer(
    containerId: string,
    networkNames: readonly string[],
    wish?: AddressWish,
  ): Promise<Namespace & { readonly address: string }>;
  /** Runs a command in a namespace; throws when it fails. */
  run(namespace: Namespace, command: string, ...args: readonly string[]): string;
  /** Starts a payload that serves until the test ends. */
  serve(namespace: Namespace, ...args: readonly string[]): Promise<void>;
  /** A UDP client that asks from one source port. */
  talkUdp(
    namespace: Namespace,
    address: string,
    port: number,
  ): { ask(text: string): Promise<string> };
  close(): Promise<void>;
};

/** A host of its own for one test: nothing in it is visible outside, and all of it ends with `close`. */
export async function openPrivateNetwork(instance = "bt-net"): Promise<PrivateNetwork> {
  const directory = mkdtempSync(join(tmpdir(), "bt-net-"));
  const children: ChildProcess[] = [];
  const addNamespace = async (): Promise<Namespace> => {
    const child = await startNamespace();
    children.push(child);
    const { pid } = child;
    if (pid === undefined) throw new Error("cannot make a network namespace");
    return { pid };
  };
  const host = await addNamespace();
  const outside = await addNamespace();
  connectOutside(host, outside);
  const launcher = launcherIn(directory, host);
  await launcher.open();
  const transact: NetlinkTransact = (request) => launcher.netlink(request);
  const policy = { metadataAddress: false };
  const proc = procOf(host);
  const open = (name: string, databases: Databases) =>
    openNetworks({
      ...databases,
      instance: name,
      addressPool: "10.210.0.0/16",
      metadataAddress: () => policy.metadataAddress,
      transact,
      log: silent,
      proc,
    });
  const databases = { state: new DatabaseSync(":memory:"), live: new DatabaseSync(":memory:") };
  const networks = await open(instance, databases);
  return {
    networks,
    transact,
    proc,
    host,
    policy,
    outside,
    live: databases.live,
    addNamespace,
    run,
    reopen: () => open(instance, databases),
    openInstance: (name) =>
      open(name, { state: new DatabaseSync(":memory:"), live: new DatabaseSync(":memory:") }),
    async startContainer(containerId, names, wish = {}) {
      for (const name of names) networks.leaseAddress(containerId, name, wish);
      await networks.conflicts(containerId, []);
      const container = await addNamespace();
      const attachment = networks.attachment(
        containerId,
        names.map((network) => ({ network, aliases: [] })),
      );
      for (const { messages, patchOffset } of attachment.hostMessages) {
        messages.writeUInt32LE(container.pid, patchOffset);
        await transact({ family: netlinkFamily.route, messages, replies: false });
      }
      await inNamespace(directory, container, attachment.initMessages);
      return { ...container, address: attachment.interfaces[0]?.address ?? "" };
    },
    async serve(namespace, ...args) {
      const child = spawn("nsenter", [`--net=/proc/${namespace.pid}/ns/net`, ...args], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      children.push(child);
      await new Promise((resolve) => child.stdout.once("data", resolve));
    },
    talkUdp(namespace, address, port) {
      const client = udpClient(namespace, address, port);
      children.push(client.child);
      return client;
    },
    async close() {
      await launcher.close();
      await Promise.all(children.map(ended));
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

type Databases = { readonly state: DatabaseSync; readonly live: DatabaseSync };

function connectOutside(host: Namespace, outside: Namespace): void {
  for (const namespace of [host, outside]) run(namespace, "ip", "link", "set", "lo", "up");
  const peer = ["peer", "name", "up0", "netns", String(outside.pid)];
  run(host, "ip", "link", "add", "up0", "type", "veth", ...peer);
  run(host, "ip", "address", "add", `${hostAddress}/24`, "dev", "up0");
  run(host, "ip", "link", "set", "up0", "up");
  run(outside, "ip", "address", "add", `${outsideAddress}/24`, "dev", "up0");
  run(outside, "ip", "link", "set", "up0", "up");
  run(outside, "ip", "route", "add", "10.210.0.0/16", "via", hostAddress);
}

function procOf(host: Namespace): ProcFiles {
  return {
    async read(path) {
      try {
        return run(host, "cat", path);
      } catch {
        return undefined;
      }
    },
    async write(path, text) {
      run(host, "sh", "-c", 'printf %s "$2" > "$1"', "sh", path, text);
    },
  };
}

async function startNamespace(): Promise<ChildProcess> {
  const child = spawn("unshare", ["--net", "sh", "-c", "echo ready; exec sleep 600"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return child;
}

function run(namespace: Namespace, command: string, ...args: readonly string[]): string {
  return execFileSync("nsenter", [`--net=/proc/${namespace.pid}/ns/net`, command, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** A helper that acts in a namespace, started through a script because a launcher takes a path only. */
function launcherIn(directory: string, namespace: Namespace): Launcher {
  const path = join(directory, `helper-${namespace.pid}`);
  const enter = `nsenter --net=/proc/${namespace.pid}/ns/net`;
  writeFileSync(path, `#!/bin/sh\nexec ${enter} ${helperPath} "$@"\n`, { mode: 0o755 });
  return new Launcher({ helperPath: path, log: silent });
}

/** Sends route messages as a container's init does: with a helper in that container's namespace. */
async function inNamespace(
  directory: string,
  namespace: Namespace,
  messages: Buffer,
): Promise<void> {
  const launcher = launcherIn(directory, namespace);
  try {
    await launcher.netlink({ family: netlinkFamily.route, messages, replies: false });
  } finally {
    await launcher.close();
  }
}

function udpClient(namespace: Namespace, address: string, port: number) {
  const script = `exec 3<>/dev/udp/${address}/${port}
    while read -r text; do
      echo "$text" >&3
      answer=$(timeout 3 dd bs=512 count=1 <&3 2>/dev/null)
      echo "$answer"
    done`;
  const net = `--net=/proc/${namespace.pid}/ns/net`;
  const child = spawn("nsenter", [net, "bash", "-c", script], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  return {
    child,
    async ask(text: string): Promise<string> {
      const answer = new Promise<Buffer>((resolve) => child.stdout.once("data", resolve));
      child.stdin.write(`${text}\n`);
      return (await answer).toString("utf8").trim();
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exit;
}
