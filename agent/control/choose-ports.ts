/** Ports of the host for what is run by hand without naming them. */
import { parsePort, parseRange } from "../../manifests/compose/port-grammar.ts";
import type { PortBinding } from "../../runtime/container-spec.ts";
import { type HostListener, isTaken } from "../host-listeners.ts";
import { overlaps } from "../plan/port-overlap.ts";

/** The dynamic ports of RFC 6335, section 6. */
const firstDynamic = 49_152;
const lastPort = 65_535;

export type TakenPorts = {
  readonly listeners: readonly HostListener[];
  readonly published: readonly PortBinding[];
};

/**
 * The entries of a service's `ports`, where those of the form `[IP::]CONTAINER[/PROTOCOL]` get the first port that neither a
 * process nor a container has. What is no such text stays as it is. Throws when no port is left.
 */
export function choosePorts(entries: readonly unknown[], taken: TakenPorts): readonly unknown[] {
  const published = [...taken.published, ...entries.flatMap(namedPorts)];
  return entries.flatMap((entry) => {
    const wish = typeof entry === "string" ? parsePort(entry) : undefined;
    const range = wish?.published === "" ? parseRange(wish.target) : undefined;
    if (wish === undefined || range === undefined) return [entry];
    const { protocol } = wish;
    if (protocol !== "tcp" && protocol !== "udp") return [entry];
    const hostIp = wish.hostIp === "" ? "0.0.0.0" : wish.hostIp;
    const chosen: string[] = [];
    for (let containerPort = range.first; containerPort <= range.last; containerPort += 1) {
      const port = freePort({ hostIp, containerPort, protocol }, { ...taken, published });
      published.push(port);
      chosen.push(`${hostIp}:${port.hostPort}:${containerPort}/${protocol}`);
    }
    return chosen;
  });
}

/** Entries for what is exposed (`80`, `53/udp`, `8000-8010/tcp`) and not among the published ones. */
export function exposedPorts(
  exposed: readonly string[],
  published: readonly Pick<PortBinding, "containerPort" | "protocol">[],
): readonly string[] {
  const entries = exposed.flatMap((text) => {
    const { target = "", protocol = "tcp" } = parsePort(text) ?? {};
    const range = parseRange(target);
    if (range === undefined) return [];
    const count = range.last - range.first + 1;
    return Array.from({ length: count }, (_, index) => ({ port: range.first + index, protocol }));
  });
  const isNamed = ({ port, protocol }: { readonly port: number; readonly protocol: string }) =>
    published.some((one) => one.containerPort === port && one.protocol === protocol);
  const missing = entries.filter((entry) => !isNamed(entry));
  return [...new Set(missing.map(({ port, protocol }) => `${port}/${protocol}`))];
}

/** What an entry with a port of the host takes there. */
function namedPorts(entry: unknown): readonly PortBinding[] {
  const wish = typeof entry === "string" ? parsePort(entry) : undefined;
  const range = parseRange(wish?.published ?? "");
  if (wish === undefined || range === undefined) return [];
  const hostIp = wish.hostIp === "" ? "0.0.0.0" : wish.hostIp;
  const protocol = wish.protocol === "udp" ? "udp" : "tcp";
  return Array.from({ length: range.last - range.first + 1 }, (_, index) => {
    const hostPort = range.first + index;
    return { hostIp, hostPort, containerPort: hostPort, protocol };
  });
}

function freePort(
  wish: Omit<PortBinding, "hostPort">,
  { listeners, published }: TakenPorts,
): PortBinding {
  for (let hostPort = firstDynamic; hostPort <= lastPort; hostPort += 1) {
    const port = { ...wish, hostPort };
    if (listeners.some((listener) => isTaken(listener, port))) continue;
    if (!published.some((other) => overlaps(other, port))) return port;
  }
  throw new Error(
    `cannot publish port ${wish.containerPort} because every port of the host from ${firstDynamic} on is taken: name one below`,
  );
}
