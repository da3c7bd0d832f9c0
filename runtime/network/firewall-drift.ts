import type { KernelDrift } from "../runtime.ts";
import type { FirewallState, SetDifference } from "./firewall.ts";
import type { SetElement } from "./nfnetlink.ts";
import { bindingName, type PortRoute, readPortElement } from "./published-ports.ts";
import type { SetName } from "./ruleset.ts";

/** Says what `FirewallState` found in the words of the runtime's face. */
export function firewallDrift(
  instance: string,
  state: FirewallState,
  published: ReadonlyMap<string, { readonly containerId: string }>,
): KernelDrift[] {
  if (!state.intact) {
    const [from, to] = ["absent or changed", "as made"];
    return [{ kind: "table-missing", target: instance, field: "rules", from, to }];
  }
  return state.differences.flatMap((difference) =>
    difference.set === "published" || difference.set === "published_any"
      ? portDrift(difference, published)
      : setDrift(instance, difference),
  );
}

function setDrift(instance: string, { set, missing, foreign }: SetDifference): KernelDrift[] {
  const from = `${missing.length} elements missing, ${foreign.length} unexpected`;
  return [{ kind: "table-missing", target: instance, field: `set ${set}`, from, to: "as made" }];
}

/** An element with another destination is foreign, not missing. */
function portDrift(
  { set, missing, foreign }: SetDifference,
  published: ReadonlyMap<string, { readonly containerId: string }>,
): KernelDrift[] {
  const found = destinations(set, foreign);
  const wanted = destinations(set, missing);
  return [...new Set([...found.keys(), ...wanted.keys()])].map((target) => ({
    kind: found.has(target) ? "port-foreign" : "port-missing",
    ...containerOf(published.get(target)),
    target,
    field: "destination",
    from: found.get(target) ?? "",
    to: wanted.get(target) ?? "",
  }));
}

function destinations(set: SetName, elements: readonly SetElement[]): ReadonlyMap<string, string> {
  return new Map(
    elements.map((element) => {
      const route = readPortElement(set, element);
      if (route !== undefined) return [bindingName(route), destination(route)];
      return [`element ${element.key.toString("hex")}`, element.data?.toString("hex") ?? ""];
    }),
  );
}

function destination(route: PortRoute): string {
  return `${route.address}:${route.containerPort}`;
}

function containerOf(port: { readonly containerId: string } | undefined) {
  return port === undefined ? {} : { container: port.containerId };
}
