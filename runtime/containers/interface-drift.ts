import { readFileSync } from "node:fs";
import { netlinkFamily } from "../network/netlink-message.ts";
import { dumpLinks, type Link, readLinks } from "../network/rtnetlink-dump.ts";
import type { ContainerStatus, KernelDrift, ObserveOptions } from "../runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import { hasCapability } from "./has-capability.ts";

type Found = { readonly pid: number; readonly drift: readonly KernelDrift[] };
/** The host's links by name, and the bridge of each network by the network's. */
type Host = {
  readonly links: ReadonlyMap<string, Link>;
  readonly bridges: ReadonlyMap<string, string>;
};
/** The kernel's answer without counters, which is the same for as long as no link changes, and what it says. */
type Seen = { readonly reply: Buffer; readonly links: ReadonlyMap<string, Link> };
type Context = Pick<ContainerContext, "networks" | "launcher">;

/**
 * What was changed by hand of the host's ends of the veth pairs of running containers: taken from their bridge, set down,
 * deleted. One dump of the host's links per look.
 */
export class InterfaceDrift {
  readonly #context: Context;
  #found: ReadonlyMap<string, Found> = new Map();
  #seen: Seen | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /** `again` is asked after the dump: who has ended or begun meanwhile is not judged by it. */
  async look(
    statuses: readonly ContainerStatus[],
    again: () => readonly ContainerStatus[],
    { drift = "due" }: ObserveOptions,
  ): Promise<void> {
    if (drift === "known") return;
    const before = running(statuses);
    const links = before.size === 0 ? new Map<string, Link>() : await this.#links();
    const found = new Map<string, Found>();
    const bridges = new Map(
      this.#context.networks.list().map(({ name, bridge }) => [name, bridge]),
    );
    for (const [id, { status, pid }] of before) {
      const differences = this.#compare(status, { links, bridges });
      if (differences.length > 0) found.set(id, { pid, drift: differences });
    }
    const after = found.size === 0 ? before : running(again());
    this.#found = new Map(
      [...found].filter(([id, { pid }]) => after.get(id)?.pid === pid && isAlive(pid)),
    );
  }

  /** What the last look found, of those who run since. */
  known(statuses: readonly ContainerStatus[]): readonly KernelDrift[] {
    if (this.#found.size === 0) return [];
    return statuses.flatMap(({ spec, pid, state }) => {
      const found = this.#found.get(spec.id);
      return state === "running" && found?.pid === pid && found !== undefined ? found.drift : [];
    });
  }

  /** It was put right. */
  forget(id: string): void {
    this.#found = new Map([...this.#found].filter(([known]) => known !== id));
  }

  #compare({ spec }: ContainerStatus, { links, bridges }: Host): KernelDrift[] {
    const ends = Object.entries(this.#context.networks.leases(spec.id).hostInterfaces);
    return ends.flatMap(([network, name]): KernelDrift[] => {
      const report = (kind: KernelDrift["kind"], from: string, to: string): KernelDrift => {
        const { id: container, name: target } = spec;
        return { kind, container, target, field: `interface ${name}`, from, to };
      };
      const link = links.get(name);
      if (link === undefined) {
        // Whoever may, has perhaps removed its own end.
        if (hasCapability(spec, "NET_ADMIN")) return [];
        return [report("address-missing", "absent", "present")];
      }
      const drift = link.up ? [] : [report("interface-changed", "down", "up")];
      const bridge = links.get(bridges.get(network) ?? "");
      // A bridge that is gone is told of as such.
      if (bridge === undefined || bridge.index === link.master) return drift;
      const other = [...links.values()].find(({ index }) => index === link.master);
      const from = other === undefined ? "attached to nothing" : `attached to ${other.name}`;
      return [...drift, report("interface-changed", from, `attached to ${bridge.name}`)];
    });
  }

  async #links(): Promise<ReadonlyMap<string, Link>> {
    const dump = { family: netlinkFamily.route, messages: dumpLinks(), replies: true };
    const reply = await this.#context.launcher.netlink(dump);
    if (this.#seen?.reply.equals(reply) !== true) {
      const links = new Map(readLinks(reply).map((link) => [link.name, link]));
      this.#seen = { reply, links };
    }
    return this.#seen.links;
  }
}

function running(statuses: readonly ContainerStatus[]) {
  return new Map(
    statuses.flatMap((status) => {
      const { spec, state, pid } = status;
      return state === "running" && pid !== undefined ? [[spec.id, { status, pid }]] : [];
    }),
  );
}

/** The mounts of a process that has ended, but is not reaped, cannot be read: its network may be gone too. */
function isAlive(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/mountinfo`).length > 0;
  } catch {
    return false;
  }
}
