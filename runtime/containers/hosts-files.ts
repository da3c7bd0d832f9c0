import { chownSync, closeSync, openSync, readSync, statSync, writeFileSync } from "node:fs";
import type { ContainerSpec } from "../container-spec.ts";
import { LAYER_ID_BASE } from "../images/layer-ids.ts";
import { hostsFile, hostsLine } from "../network/hosts-file.ts";
import { ownResolvConf, resolvConf } from "../network/resolv-conf.ts";
import { hostnameOf } from "../plan/plan-process.ts";
import type { KernelDrift } from "../runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import { pathsOf } from "./container-context.ts";

const names = ["hosts", "hostname", "resolv.conf"] as const;
type Name = (typeof names)[number];

/** What the others on a network find of one container there. */
type PeerLine = { readonly container: string; readonly text: string };

/** Keeps /etc/hosts, /etc/hostname and /etc/resolv.conf of every container in step with who is on its networks. */
export class HostsFiles {
  readonly #context: ContainerContext;
  readonly #changed = new Set<string>();
  /** Container id -> file -> what it holds: opening a file for nothing costs a start half a millisecond. */
  readonly #written = new Map<string, Map<string, string>>();
  /** Container id -> file -> its inode, size and time of change when it held what it should. */
  readonly #marks = new Map<string, Map<string, string>>();
  #scheduled = false;

  constructor(context: ContainerContext) {
    this.#context = context;
  }

  /** Writes the files of one container, before it starts. */
  write(spec: ContainerSpec): void {
    for (const [name, text] of this.#texts(spec)) this.#put(spec.id, name, text());
  }

  forget(id: string): void {
    this.#written.delete(id);
    this.#marks.delete(id);
  }

  /** All of them of one container. */
  paths(id: string): readonly string[] {
    return names.map((name) => this.#path(id, name));
  }

  /** Files of a running container that others have written to. One stat(2) for each that nobody did. */
  drift(spec: ContainerSpec): readonly KernelDrift[] {
    return this.#texts(spec).flatMap(([name, text]): KernelDrift[] => {
      const path = this.#path(spec.id, name);
      const mark = markOf(path);
      if (mark !== "" && mark === this.#marks.get(spec.id)?.get(name)) return [];
      const wanted = this.#written.get(spec.id)?.get(name) ?? text();
      const found = mark === "" ? "absent" : readStart(path, Buffer.byteLength(wanted));
      if (found === wanted) {
        this.#remember(spec.id, name, wanted);
        return [];
      }
      const [from, to] = firstDifference(found, wanted);
      const { id: container, name: target } = spec;
      return [{ kind: "file-changed", container, target, field: `/etc/${name}`, from, to }];
    });
  }

  /** Writes them again. */
  repair(spec: ContainerSpec): void {
    this.forget(spec.id);
    this.write(spec);
  }

  /** A container came or went: those on its networks learn of it soon, all changes of one turn in one pass. */
  changed(spec: ContainerSpec): void {
    for (const { network } of spec.networks) this.#changed.add(network);
    if (this.#scheduled || this.#changed.size === 0) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #texts(spec: ContainerSpec): readonly (readonly [Name, () => string])[] {
    const texts: Readonly<Record<Name, () => string>> = {
      hosts: () => this.#hostsText(spec),
      hostname: () => `${hostnameOf(spec)}\n`,
      "resolv.conf": () => ownResolvConf(spec.dns) ?? resolvConf(),
    };
    return names.map((name) => [name, texts[name]]);
  }

  #flush(): void {
    const networks = new Set(this.#changed);
    this.#changed.clear();
    this.#scheduled = false;
    const lines = new Map<string, readonly PeerLine[]>();
    for (const { spec, phase } of this.#context.inventory.all()) {
      if (phase !== "running" && phase !== "starting") continue;
      if (!spec.networks.some(({ network }) => networks.has(network))) continue;
      // The same inode stays in place: it is what is mounted inside.
      this.#put(spec.id, "hosts", this.#hostsText(spec, lines));
    }
  }

  /** `lines` holds those of each network for as long as nobody comes or goes. */
  #hostsText(spec: ContainerSpec, lines = new Map<string, readonly PeerLine[]>()): string {
    const peers = spec.networks.map(({ network }) => {
      const known = lines.get(network) ?? this.#linesOf(network);
      lines.set(network, known);
      return known.filter(({ container }) => container !== spec.id).map(({ text }) => text);
    });
    const others = [...peers.slice(1).flat(), ...this.#extraHosts(spec)];
    return hostsFile({
      hostname: hostnameOf(spec),
      own: spec.networks.map((attachment) => this.#namesOf(spec, attachment)),
      peers: others.length === 0 ? (peers[0] ?? []) : [...(peers[0] ?? []), ...others].sort(),
    });
  }

  #linesOf(network: string): readonly PeerLine[] {
    return [...this.#context.inventory.all()]
      .filter(({ phase, spec }) => phase !== "removing" && !this.#context.heldBack.has(spec.id))
      .flatMap(({ spec }) =>
        spec.networks
          .filter((attachment) => attachment.network === network)
          .map((attachment) => this.#namesOf(spec, attachment))
          .map(({ address, names }) => ({ container: spec.id, text: hostsLine(address, names) })),
      )
      .sort((one, other) => (one.text < other.text ? -1 : 1));
  }

  #namesOf(spec: ContainerSpec, { network, aliases }: ContainerSpec["networks"][number]) {
    const address = this.#context.networks.leaseAddress(spec.id, network);
    return { address, names: [spec.name, ...aliases] };
  }

  #extraHosts(spec: ContainerSpec): readonly string[] {
    return (spec.extraHosts ?? []).map(({ name, address }) =>
      hostsLine(address === "host-gateway" ? this.#gateway(spec) : address, [name]),
    );
  }

  /** The host as the container reaches it: by its bridge. */
  #gateway(spec: ContainerSpec): string {
    const own = spec.networks[0]?.network;
    const found = this.#context.networks.list().find(({ name }) => name === own);
    return found?.gateway ?? "127.0.0.1";
  }

  #put(id: string, name: string, text: string): void {
    if (this.#written.get(id)?.get(name) === text) return;
    const path = this.#path(id, name);
    writeFileSync(path, text, { mode: 0o644 });
    chownSync(path, LAYER_ID_BASE, LAYER_ID_BASE);
    this.#remember(id, name, text);
  }

  #path(id: string, name: string): string {
    return `${pathsOf(this.#context, id).etc}/${name}`;
  }

  #remember(id: string, name: string, text: string): void {
    const written = this.#written.get(id) ?? new Map<string, string>();
    this.#written.set(id, written.set(name, text));
    const marks = this.#marks.get(id) ?? new Map<string, string>();
    this.#marks.set(id, marks.set(name, markOf(this.#path(id, name))));
  }
}

/** Empty when there is no such file. */
function markOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? "" : `${found.ino} ${found.size} ${found.ctimeMs}`;
}

/** Bytes of a file beyond what it should hold, of which a difference can be told. */
const strangeBytesMax = 4096;
const shownCharactersMax = 200;

/** The container writes to it, and can make it as large as it likes: only that much is read of it. */
function readStart(path: string, wantedBytes: number): string {
  const bytes = Buffer.allocUnsafe(wantedBytes + strangeBytesMax);
  const file = openSync(path, "r");
  try {
    return bytes.toString("utf8", 0, readSync(file, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(file);
  }
}

/** The first lines that differ, or their beginnings. */
function firstDifference(found: string, wanted: string): readonly [string, string] {
  const [mine, theirs] = [wanted.split("\n"), found.split("\n")];
  const at = mine.findIndex((line, index) => line !== theirs[index]);
  const place = at === -1 ? mine.length : at;
  const shown = (line = "") => line.slice(0, shownCharactersMax);
  return [shown(theirs[place]), shown(mine[place])];
}
