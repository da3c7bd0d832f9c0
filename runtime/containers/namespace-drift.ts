import type { ContainerSpec } from "../container-spec.ts";
import type { ContainerStatus, KernelDrift } from "../runtime.ts";
import { hasCapability } from "./has-capability.ts";

/** As procfs has them; empty where the process has ended, and of a network that is not its own. */
export type NamespaceTexts = {
  readonly mountinfo: string;
  readonly addresses: string;
  readonly routes: string;
};

type Mount = {
  /** Of the mount, not of its file system: `ro`, `nosuid`. */
  readonly options: string;
  readonly device: string;
  /** What it shows was deleted on the host. */
  readonly isDeleted: boolean;
  /** How many lie at this place; the others are below it. */
  readonly count: number;
};

/** What is inside of a container, to be compared with what is there later. */
export type NamespaceState = {
  readonly mounts: ReadonlyMap<string, Mount>;
  readonly routes: ReadonlySet<string>;
};

/** Of a container's first look, and so of its start. */
export function readNamespaceState({ mountinfo, routes }: NamespaceTexts): NamespaceState {
  return { mounts: readMounts(mountinfo), routes: new Set(readRoutes(routes).map(describeRoute)) };
}

/** Mounts that are gone, were changed, covered or added. What a container may do there itself is its own affair. */
export function mountDrift(
  spec: ContainerSpec,
  known: NamespaceState["mounts"],
  { mountinfo }: NamespaceTexts,
): readonly KernelDrift[] {
  if (hasCapability(spec, "SYS_ADMIN")) return [];
  // What the host mounts and unmounts there comes and goes.
  const propagated = spec.mounts
    .filter((mount) => mount.type === "bind" && (mount.propagation ?? "private") !== "private")
    .map(({ target }) => `${target}/`);
  // A file of the host that is bound is often replaced by renaming, and a subpath is the volume's users' affair.
  const whole = spec.mounts.flatMap((mount) =>
    mount.type === "volume" && mount.subpath === undefined ? [mount.target] : [],
  );
  const lasting = new Set([...whole, "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]);
  const found = readMounts(mountinfo);
  return [...new Set([...known.keys(), ...found.keys()])].flatMap((point): KernelDrift[] => {
    if (propagated.some((place) => point.startsWith(place))) return [];
    const difference = mountDifference(known.get(point), found.get(point), lasting.has(point));
    if (difference === undefined) return [];
    const { id: container, name: target } = spec;
    return [{ ...difference, container, target, field: `mount ${point}` }];
  });
}

function mountDifference(
  known: Mount | undefined,
  found: Mount | undefined,
  isLasting: boolean,
): Pick<KernelDrift, "kind" | "from" | "to"> | undefined {
  if (known === undefined) return { kind: "mount-changed", from: "there", to: "absent" };
  if (found === undefined) return { kind: "mount-missing", from: "absent", to: "there" };
  if (found.isDeleted && isLasting)
    return { kind: "mount-missing", from: "deleted on the host", to: "there" };
  if (found.count > known.count)
    return { kind: "mount-changed", from: "covered by another", to: "there" };
  if (found.device !== known.device)
    return { kind: "mount-changed", from: `of device ${found.device}`, to: known.device };
  if (found.options === known.options) return undefined;
  return { kind: "mount-changed", from: found.options, to: known.options };
}

/** Addresses and routes that are gone or were added. */
export function addressDrift(
  { spec, addresses }: ContainerStatus,
  known: NamespaceState["routes"],
  texts: NamespaceTexts,
): readonly KernelDrift[] {
  const local = texts.addresses;
  if (local === "") return [];
  const { id: container, name: target } = spec;
  const report = (kind: KernelDrift["kind"], field: string, from: string, to: string) => {
    return { kind, container, target, field, from, to };
  };
  const wanted = Object.entries(addresses);
  const missing = wanted
    .filter(([, address]) => !local.includes(`|-- ${address}\n`))
    .map(([network, address]) =>
      report("address-missing", `networks.${network}`, "absent", address),
    );
  if (missing.length > 0) return missing;
  const routes = readRoutes(texts.routes);
  const interfaces = new Set(routes.map(({ device }) => device));
  if (interfaces.size < wanted.length)
    return [
      report(
        "address-missing",
        "interfaces with a route",
        `${interfaces.size}`,
        `${wanted.length}`,
      ),
    ];
  const own = new Set(wanted.map(([, address]) => address));
  const foreign = readLocal(local).filter((address) => !own.has(address));
  const found = new Set(routes.map(describeRoute));
  return [
    ...foreign.map((address) => report("address-changed", `address ${address}`, "there", "absent")),
    ...[...known.difference(found)].map((route) =>
      report("address-changed", `route ${route}`, "absent", "there"),
    ),
    // Those of a foreign address came with it.
    ...(foreign.length > 0 ? [] : [...found.difference(known)]).map((route) =>
      report("address-changed", `route ${route}`, "there", "absent"),
    ),
  ];
}

/** proc_pid_mountinfo(5), by mount point: the topmost, which comes last. */
function readMounts(text: string): ReadonlyMap<string, Mount> {
  const mounts = new Map<string, Mount>();
  for (const line of text.split("\n")) {
    const [, , device = "", root = "", point, options = ""] = line.split(" ", 6);
    if (point === undefined) continue;
    const count = (mounts.get(point)?.count ?? 0) + 1;
    mounts.set(point, { options, device, isDeleted: root.endsWith("//deleted"), count });
  }
  return mounts;
}

type Route = { readonly device: string; readonly to: string; readonly via: string };

/** /proc/net/route: addresses in hexadecimal digits, of the host's byte order. */
function readRoutes(text: string): readonly Route[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line): Route[] => {
      const [device = "", to = "", via = "", , , , , mask = ""] = line.split("\t");
      if (device === "") return [];
      const bits = [...Number.parseInt(mask, 16).toString(2)].filter((bit) => bit === "1").length;
      return [{ device, to: `${formatHex(to)}/${bits}`, via: formatHex(via) }];
    });
}

function describeRoute({ device, to, via }: Route): string {
  return via === "0.0.0.0" ? `${to} on ${device}` : `${to} via ${via} on ${device}`;
}

function formatHex(digits: string): string {
  const bytes = Buffer.from(digits.trim(), "hex");
  return [...(isLittleEndian ? bytes.toReversed() : bytes)].join(".");
}

const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** The host's own addresses in /proc/net/fib_trie, each once; not those of the loopback. */
function readLocal(text: string): readonly string[] {
  const found = [...text.matchAll(/\|-- (\S+)\n\s+\/32 host LOCAL/g)].map(
    ([, address = ""]) => address,
  );
  return [...new Set(found)].filter((address) => !address.startsWith("127."));
}
