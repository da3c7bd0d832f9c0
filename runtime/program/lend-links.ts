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
  for (const link of links.toReversed()) {
    const about = link.hostName;
    send(undo, moveBack(link), { about, namespace: there, target: here });
    send(undo, setUpHere(link), { about });
  }
  program.undo(undo.finish());
  for (const link of links) {
    const about = link.name === link.hostName ? link.hostName : `${link.hostName} as ${link.name}`;
    send(program, moveThere(link), { about, target: there });
    send(program, setUpThere(link), { about, namespace: there });
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
