import {
  type LentLink,
  type LinkDatagram,
  moveBack,
  moveThere,
  setUpHere,
  setUpThere,
} from "../network/lent-links.ts";
import { netlinkFamily } from "../network/netlink-message.ts";
import type { Slot } from "./operation-list.ts";
import { Program } from "./program.ts";

/**
 * Host part, after the child got its descriptors: links of the host move into its network namespace. When the start
 * fails after that they come back, with what the kernel took from them on the way; only routes are lost.
 */
export function lendLinks(program: Program, links: readonly LentLink[]): void {
  if (links.length === 0) return;
  const here = program.slot();
  const there = program.slot();
  program.open(here, null, 0, "/proc/self/ns/net").childNamespace(there, "net");
  const undo = new Program();
  bringBack(undo, links, { here, there });
  program.undo(undo.finish());
  for (const link of links) {
    const about = link.name === link.hostName ? link.hostName : `${link.hostName} as ${link.name}`;
    send(program, moveThere(link), { about, target: there });
    send(program, setUpThere(link), { about, namespace: there });
  }
}

/** Host operations: what was lent comes back from the network namespace of a process, each link whatever becomes of others. */
export function returnLinks(links: readonly LentLink[], pid: number): readonly Uint8Array[] {
  return links.toReversed().map((link) => {
    const program = new Program();
    const here = program.slot();
    const there = program.slot();
    program.open(here, null, 0, "/proc/self/ns/net").open(there, null, 0, `/proc/${pid}/ns/net`);
    bringBack(program, [link], { here, there });
    return program.finish();
  });
}

function bringBack(
  program: Program,
  links: readonly LentLink[],
  { here, there }: { readonly here: Slot; readonly there: Slot },
): void {
  for (const link of links.toReversed()) {
    const about = link.hostName;
    send(program, moveBack(link), { about, namespace: there, target: here });
    send(program, setUpHere(link), { about });
  }
}

function send(
  program: Program,
  { messages, patchOffset }: LinkDatagram,
  where: { readonly about: string; readonly namespace?: Slot; readonly target?: Slot },
): void {
  const { about, namespace, target } = where;
  if (messages.length === 0) return;
  program.netlinkIn(netlinkFamily.route, messages, {
    about,
    ...(namespace === undefined ? {} : { namespace }),
    ...(patchOffset === undefined || target === undefined
      ? {}
      : { patch: { offset: patchOffset, slot: target } }),
  });
}
