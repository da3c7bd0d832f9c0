import { openTcpConnections } from "../network/tcp-connections.ts";
import type { HandOver } from "../runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import type { HostsFiles } from "./hosts-files.ts";
import { publishPorts } from "./publish-ports.ts";

/** Others find `to` from now on, and `from` no more. What an agent that dies on the way leaves undone is done by the next. */
export async function handOver(
  context: ContainerContext,
  hosts: HostsFiles,
  { from, to }: HandOver,
  isRunning: boolean,
): Promise<void> {
  const { inventory, heldBack } = context;
  const { spec } = inventory.require(to);
  if (from !== undefined && inventory.get(from) !== undefined) heldBack.add(from);
  heldBack.delete(to);
  if (isRunning) await publishPorts(context, spec);
  hosts.changed(spec);
}

/** TCP connections to the container that this host translates: those through published ports. */
export async function openConnections(context: ContainerContext, id: string): Promise<number> {
  const addresses = Object.values(context.networks.leases(id).addresses);
  const counts = await Promise.all(
    addresses.map((address) =>
      openTcpConnections((request) => context.launcher.netlink(request), address),
    ),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
