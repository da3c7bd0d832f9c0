import type { PortBinding } from "../container-spec.ts";
import { describeHolder, readListeningSockets, takesPacketsOf } from "./listening-sockets.ts";
import type { NetlinkTransact } from "./netlink-message.ts";
import type { StoredPort } from "./network-store.ts";
import type { ProcFiles } from "./proc-files.ts";
import { bindingName, bindingsCollide } from "./published-ports.ts";

/** A binding that cannot be had, and who has it. */
export type PortConflict = {
  readonly binding: PortBinding;
  /** Set when a container of this instance has it. */
  readonly containerId?: string;
  /** `container 3f2a…` or `process nginx (pid 812)`. */
  readonly holder: string;
  /** A whole sentence: what cannot be done and why. */
  readonly message: string;
};

/**
 * Checks bindings against each other's owners and against the sockets of the host's processes. `except` names
 * containers whose bindings may be taken over.
 */
export async function findConflicts(options: {
  readonly bindings: readonly PortBinding[];
  readonly published: readonly StoredPort[];
  readonly except: ReadonlySet<string>;
  readonly transact: NetlinkTransact;
  readonly proc: ProcFiles;
}): Promise<PortConflict[]> {
  const { bindings, published, except } = options;
  if (bindings.length === 0) return [];
  const protocols = new Set(bindings.map(({ protocol }) => protocol));
  const sockets = await readListeningSockets({ ...options, protocols });
  const conflicts: PortConflict[] = [];
  for (const binding of bindings) {
    const owner = published.find(
      (port) => !except.has(port.containerId) && bindingsCollide(port, binding),
    );
    if (owner !== undefined) {
      const { containerId } = owner;
      conflicts.push({
        containerId,
        ...conflict(binding, `container ${containerId.slice(0, 12)}`),
      });
      continue;
    }
    const socket = sockets.find((candidate) => takesPacketsOf(candidate, binding));
    if (socket !== undefined) conflicts.push(conflict(binding, await describeHolder(socket.inode)));
  }
  return conflicts;
}

function conflict(binding: PortBinding, holder: string): PortConflict {
  const message =
    `cannot publish ${bindingName(binding)} because ${holder} has it: ` +
    "another host port, or stopping the holder, would fix it";
  return { binding, holder, message };
}
