import { idsPerContainer } from "./id-leases.ts";
import type { NamespacePlans } from "./start-plan.ts";

/** What a container has of its own: everything but the clock. `idBase`: first host id of its range. */
export function planNamespaces(idBase: number): NamespacePlans {
  const ids = [{ inside: 0, outside: idBase, count: idsPerContainer }];
  return {
    user: { kind: "new", uids: ids, gids: ids },
    pid: { kind: "new" },
    network: { kind: "new" },
    ipc: { kind: "new" },
    uts: { kind: "new" },
    cgroup: { kind: "new" },
    time: { kind: "host" },
  };
}
