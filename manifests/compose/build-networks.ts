import type { NetworkEndpoint, Service } from "../desired-state.ts";
import type { Conflict } from "./build-options.ts";
import { present } from "./present.ts";
import type { ServiceModel } from "./service-model.ts";

/** A service with another's network, the host's or none has none of its own, and no ports. */
export function hasOwnNetwork(model: ServiceModel, conflict: Conflict): boolean {
  if (model.network_mode === undefined) return true;
  const isBridge = model.network_mode === "bridge";
  for (const field of isBridge ? (["networks"] as const) : contradicting) {
    if (model[field] === undefined) continue;
    conflict(field, `it contradicts network_mode: ${model.network_mode}: keep one of them`);
  }
  return isBridge;
}

const contradicting = ["networks", "ports", "mac_address"] as const;

/** The networks that a service is on: the app's default one where it names none. */
export function networksOf(
  model: ServiceModel,
  conflict: Conflict,
): Pick<Service, "networks" | "endpoints"> {
  const named = model.networks ?? new Map();
  const wishes = named.size === 0 ? new Map([["default", null]]) : named;
  const networks: Record<string, readonly string[]> = Object.create(null);
  const endpoints = new Map<string, NetworkEndpoint>();
  for (const [key, wish] of wishes) {
    networks[key] = wish?.aliases ?? [];
    const endpoint: NetworkEndpoint = {
      ...present("ipv4Address", wish?.ipv4_address),
      ...present("macAddress", wish?.mac_address),
      ...present("gatewayPriority", wish?.gw_priority || undefined),
      ...present("priority", wish?.priority || undefined),
    };
    if (Object.keys(endpoint).length > 0) endpoints.set(key, endpoint);
  }
  giveMacAddress({ model, keys: [...wishes.keys()], endpoints, conflict });
  return {
    networks: Object.fromEntries(Object.entries(networks)),
    ...(endpoints.size === 0 ? {} : { endpoints: Object.fromEntries(endpoints) }),
  };
}

/** `mac_address` of the service is that of its first network. */
function giveMacAddress({
  model: { mac_address: macAddress },
  keys,
  endpoints,
  conflict,
}: {
  readonly model: ServiceModel;
  readonly keys: readonly string[];
  readonly endpoints: Map<string, NetworkEndpoint>;
  readonly conflict: Conflict;
}): void {
  const rank = (key: string) => endpoints.get(key)?.priority ?? 0;
  const [first] = keys.toSorted((a, b) => rank(b) - rank(a) || (a < b ? -1 : 1));
  if (macAddress === undefined || first === undefined) return;
  const known = endpoints.get(first);
  if (known?.macAddress !== undefined && known.macAddress !== macAddress)
    conflict(
      "mac_address",
      `it differs from mac_address of the network ${first}: keep one of them`,
    );
  endpoints.set(first, { ...known, macAddress });
}
