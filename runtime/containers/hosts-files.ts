import { chownSync, writeFileSync } from "node:fs";
import type { ContainerSpec } from "../container-spec.ts";
import { LAYER_ID_BASE } from "../images/layer-ids.ts";
import { type HostNames, hostsFile } from "../network/hosts-file.ts";
import { ownResolvConf, resolvConf } from "../network/resolv-conf.ts";
import { hostnameOf } from "../plan/plan-process.ts";
import type { ContainerContext } from "./container-context.ts";
import { pathsOf } from "./container-context.ts";

/** Keeps /etc/hosts, /etc/hostname and /etc/resolv.conf of every container in step with who is on its networks. */
export class HostsFiles {
  readonly #context: ContainerContext;
  readonly #changed = new Set<string>();
  /** Container id -> file -> what it holds: opening a file for nothing costs a start half a millisecond. */
  readonly #written = new Map<string, Map<string, string>>();
  #scheduled = false;

  constructor(context: ContainerContext) {
    this.#context = context;
  }

  /** Writes the files of one container, before it starts. */
  write(spec: ContainerSpec): void {
    this.#put(spec.id, "hosts", this.#hostsText(spec));
    this.#put(spec.id, "hostname", `${hostnameOf(spec)}\n`);
    this.#put(spec.id, "resolv.conf", ownResolvConf(spec.dns) ?? resolvConf());
  }

  forget(id: string): void {
    this.#written.delete(id);
  }

  /** A container came or went: those on its networks learn of it soon, all changes of one turn in one pass. */
  changed(spec: ContainerSpec): void {
    for (const { network } of spec.networks) this.#changed.add(network);
    if (this.#scheduled || this.#changed.size === 0) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    const networks = new Set(this.#changed);
    this.#changed.clear();
    this.#scheduled = false;
    for (const { spec, phase } of this.#context.inventory.all()) {
      if (phase !== "running" && phase !== "starting") continue;
      if (!spec.networks.some(({ network }) => networks.has(network))) continue;
      // The same inode stays in place: it is what is mounted inside.
      this.#put(spec.id, "hosts", this.#hostsText(spec));
    }
  }

  #hostsText(spec: ContainerSpec): string {
    const own = new Set(spec.networks.map(({ network }) => network));
    const peers = [...this.#context.inventory.all()]
      .filter((entry) => entry.spec.id !== spec.id && entry.phase !== "removing")
      .filter((entry) => !this.#context.heldBack.has(entry.spec.id))
      .flatMap((entry) => this.#names(entry.spec, own));
    return hostsFile({
      hostname: hostnameOf(spec),
      own: this.#names(spec, own),
      peers: [...peers, ...this.#extraHosts(spec)],
    });
  }

  #extraHosts(spec: ContainerSpec): readonly HostNames[] {
    return (spec.extraHosts ?? []).map(({ name, address }) => ({
      address: address === "host-gateway" ? this.#gateway(spec) : address,
      names: [name],
    }));
  }

  /** The host as the container reaches it: by its bridge. */
  #gateway(spec: ContainerSpec): string {
    const own = spec.networks[0]?.network;
    const found = this.#context.networks.list().find(({ name }) => name === own);
    return found?.gateway ?? "127.0.0.1";
  }

  #names(spec: ContainerSpec, networks: ReadonlySet<string>) {
    return spec.networks
      .filter(({ network }) => networks.has(network))
      .map(({ network, aliases }) => ({
        address: this.#context.networks.leaseAddress(spec.id, network),
        names: [spec.name, ...aliases],
      }));
  }

  #put(id: string, name: string, text: string): void {
    const written = this.#written.get(id) ?? new Map<string, string>();
    if (written.get(name) === text) return;
    const path = `${pathsOf(this.#context, id).etc}/${name}`;
    writeFileSync(path, text, { mode: 0o644 });
    chownSync(path, LAYER_ID_BASE, LAYER_ID_BASE);
    this.#written.set(id, written.set(name, text));
  }
}
