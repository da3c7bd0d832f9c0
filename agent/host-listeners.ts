import { readFile } from "node:fs/promises";
import type { PortProtocol } from "../runtime/container-spec.ts";
import { describeHolder } from "../runtime/network/listening-sockets.ts";

export type HostListener = {
  readonly protocol: PortProtocol;
  readonly port: number;
  /** IPv4 in dotted form; undefined: every address. */
  readonly address: string | undefined;
  /** Of the socket; undefined where it is not known. */
  readonly inode?: number;
};

/** Sockets of the host that already take a port (proc(5): /proc/net/tcp and its kin). */
export async function readHostListeners(): Promise<HostListener[]> {
  const files = [
    { path: "/proc/net/tcp", protocol: "tcp" },
    { path: "/proc/net/tcp6", protocol: "tcp" },
    { path: "/proc/net/udp", protocol: "udp" },
    { path: "/proc/net/udp6", protocol: "udp" },
  ] as const;
  const lists = await Promise.all(
    files.map(async ({ path, protocol }) => {
      // A host without IPv6 has no such file.
      const text = await readFile(path, "utf8").catch(() => "");
      return parseListeners(text, protocol);
    }),
  );
  return lists.flat();
}

/** `process nginx (pid 812)`, as far as /proc tells. */
export async function describeListener({ inode }: HostListener): Promise<string> {
  return inode === undefined ? "another process" : describeHolder(inode);
}

/** Listening TCP sockets (state 0A) and unconnected UDP sockets (state 07). */
export function parseListeners(text: string, protocol: PortProtocol): HostListener[] {
  const wantedState = protocol === "tcp" ? "0A" : "07";
  const listeners: HostListener[] = [];
  for (const line of text.split("\n").slice(1)) {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    const [hexAddress, hexPort] = local?.split(":") ?? [];
    if (state !== wantedState || hexAddress === undefined || hexPort === undefined) continue;
    const address = parseAddress(hexAddress);
    if (address === "other") continue;
    const port = Number.parseInt(hexPort, 16);
    listeners.push({
      protocol,
      port,
      address,
      ...(inode === undefined ? {} : { inode: Number(inode) }),
    });
  }
  return listeners;
}

/** True when a socket takes the port on an address that overlaps `hostIp` (`0.0.0.0`: every address). */
export function isTaken(
  listener: HostListener,
  port: { readonly hostIp: string; readonly hostPort: number; readonly protocol: PortProtocol },
): boolean {
  return (
    listener.port === port.hostPort &&
    listener.protocol === port.protocol &&
    (listener.address === undefined ||
      port.hostIp === "0.0.0.0" ||
      listener.address === port.hostIp)
  );
}

/** The kernel prints 32-bit words in host byte order: little-endian on every machine that berth runs on. */
function parseAddress(hex: string): string | undefined | "other" {
  const words = hex.match(/.{8}/g) ?? [];
  if (words.every((word) => word === "00000000")) return undefined;
  const mapped = words.length === 4 && words[2] === "FFFF0000";
  if (words.length === 4 && !mapped) return "other";
  const word = words.at(-1) ?? "";
  const bytes = (word.match(/../g) ?? []).toReversed().map((byte) => Number.parseInt(byte, 16));
  return bytes.every((byte) => byte === 0) ? undefined : bytes.join(".");
}
