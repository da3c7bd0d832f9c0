import type { ContainerSpec } from "../container-spec.ts";
import type { ContainerContext } from "./container-context.ts";

/** Sends the ports of a container to it, in one transaction that takes them from who had them. Not while it is held back. */
export async function publishPorts(context: ContainerContext, spec: ContainerSpec): Promise<void> {
  const { networks, heldBack } = context;
  if (spec.ports.length === 0 || heldBack.has(spec.id)) return;
  const internal = new Set(
    networks.list().flatMap(({ name, internal }) => (internal ? [name] : [])),
  );
  const network = spec.networks.find((attached) => !internal.has(attached.network))?.network;
  if (network === undefined) {
    throw new Error(
      `cannot publish ports of ${spec.name} because it has no network that reaches outside: attach one that is not internal`,
    );
  }
  await networks.publish(spec.id, spec.ports, networks.leaseAddress(spec.id, network));
}
