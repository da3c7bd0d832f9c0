import { readdir, readFile, readlink } from "node:fs/promises";
import type { PortBinding, PortProtocol } from "../container-spec.ts";
import {
  messageFlag,
  type NetlinkTransact,
  NetlinkWriter,
  netlinkFamily,
  readMessages,
} from "./netlink-message.ts";
import type { ProcFiles } from "./proc-files.ts";
import { anyAddress } from "./published-ports.ts";

/** A socket that receives at a local port. */
export type ListeningSocket = {
  readonly protocol: PortProtocol;
  /** IPv4 address; `0.0.0.0` also for an IPv6 wildcard, which takes IPv4 packets as well. */
  readonly address: string;
  readonly port: number;
  readonly inode: number;
};

const sources: readonly { readonly path: string; readonly protocol: PortProtocol }[] = [
  { path: "/proc/net/tcp", protocol: "tcp" },
  { path: "/proc/net/tcp6", protocol: "tcp" },
  { path: "/proc/net/udp", protocol: "udp" },
  { path: "/proc/net/udp6", protocol: "udp" },
];

/** States of include/net/tcp_states.h: TCP_LISTEN, and TCP_CLOSE, which an unconnected UDP socket shows. */
const receivingState = { tcp: 0x0a, udp: 0x07 } as const satisfies Record<PortProtocol, number>;

const socketDiagByFamily = 20;
const [ipv4, ipv6] = [2, 10];
const diagMessageBytes = 72;
const protocolNumbers = { tcp: 6, udp: 17 } as const satisfies Record<PortProtocol, number>;
/** struct inet_diag_req_v2: family, protocol, states, and a socket id that is left open. */
const socketRequests = sources.map(({ path, protocol }) => ({
  protocol,
  messages: new NetlinkWriter()
    .begin(socketDiagByFamily, messageFlag.request | messageFlag.dump)
    .u8(path.endsWith("6") ? ipv6 : ipv4)
    .u8(protocolNumbers[protocol])
    .u16(0)
    .u32(1 << receivingState[protocol])
    .raw(Buffer.alloc(48))
    .finish(),
}));

/**
 * Every socket of this network namespace that waits for packets which NAT to a container would take from it. Asked of
 * sock_diag(7), which walks the listening sockets only: /proc/net/tcp walks every bucket of the connection table,
 * milliseconds even when it is empty, and is read where the kernel lacks the former.
 */
export async function readListeningSockets(sources: {
  readonly protocols: ReadonlySet<PortProtocol>;
  readonly transact: NetlinkTransact;
  readonly proc: ProcFiles;
}): Promise<ListeningSocket[]> {
  const requests = socketRequests.filter(({ protocol }) => sources.protocols.has(protocol));
  try {
    const replies = await Promise.all(
      requests.map(({ protocol, messages }) =>
        sources
          .transact({ family: netlinkFamily.socketDiag, messages, replies: true })
          .then((reply) => parseSocketMessages(reply, protocol)),
      ),
    );
    return replies.flat();
  } catch {
    return readSocketTables(sources.proc);
  }
}

/** Reads the answers to a sock_diag dump (linux/inet_diag.h); IPv6-only addresses are left out. */
function parseSocketMessages(reply: Buffer, protocol: PortProtocol): ListeningSocket[] {
  return readMessages(reply).flatMap(({ type, payload }) => {
    if (type !== socketDiagByFamily) return [];
    if (payload.length < diagMessageBytes) {
      throw new RangeError("cannot read a sock_diag message: it is too short");
    }
    const words = payload.readUInt8(0) === ipv4 ? 1 : 4;
    const address = formatWords(
      Array.from({ length: words }, (_, index) => payload.readUInt32LE(8 + index * 4)),
    );
    if (address === undefined) return [];
    const [port, inode] = [payload.readUInt16BE(4), payload.readUInt32LE(68)];
    return { protocol, address, port, inode };
  });
}

async function readSocketTables(proc: ProcFiles): Promise<ListeningSocket[]> {
  const tables = await Promise.all(
    sources.map(async ({ path, protocol }) =>
      parseSocketTable((await proc.read(path)) ?? "", protocol),
    ),
  );
  return tables.flat();
}

/** Reads /proc/net/tcp, tcp6, udp or udp6 (proc_pid_net(5)); IPv6-only addresses are left out. */
export function parseSocketTable(text: string, protocol: PortProtocol): ListeningSocket[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const [, local, , state, , , , , , inode] = fields;
    const match = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local ?? "");
    if (match === null || Number.parseInt(state ?? "", 16) !== receivingState[protocol]) return [];
    const address = parseKernelAddress(match[1] ?? "");
    if (address === undefined) return [];
    const port = Number.parseInt(match[2] ?? "", 16);
    return { protocol, address, port, inode: Number(inode) };
  });
}

export function takesPacketsOf(socket: ListeningSocket, binding: PortBinding): boolean {
  return (
    socket.protocol === binding.protocol &&
    socket.port === binding.hostPort &&
    (socket.address === binding.hostIp ||
      socket.address === anyAddress ||
      binding.hostIp === anyAddress)
  );
}

/** `process nginx (pid 812)`; `another process` where no descriptor of that socket can be seen. */
export async function describeHolder(inode: number): Promise<string> {
  const wanted = `socket:[${inode}]`;
  for (const pid of await readdir("/proc")) {
    if (!/^[0-9]+$/.test(pid)) continue;
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      if (target !== wanted) continue;
      const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
      return `process ${name.trim() || "without a name"} (pid ${pid})`;
    }
  }
  return "another process";
}

/** Words of 32 bits in host order, as the kernel prints them. */
function parseKernelAddress(hex: string): string | undefined {
  return formatWords((hex.match(/.{8}/g) ?? []).map((word) => Number.parseInt(word, 16)));
}

function formatWords(words: readonly number[]): string | undefined {
  const [first = 0, second = 0, third = 0, fourth = 0] = words;
  if (words.length === 1) return formatHostOrder(first);
  if (first === 0 && second === 0 && third === 0 && fourth === 0) return anyAddress;
  const isMapped = first === 0 && second === 0 && third === 0xffff0000;
  return isMapped ? formatHostOrder(fourth) : undefined;
}

function formatHostOrder(word: number): string {
  return [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff).join(".");
}
