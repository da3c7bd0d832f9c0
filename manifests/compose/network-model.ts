import { isIPv4, isIPv6 } from "node:net";
import { z } from "zod";
import type { NetworkAddresses } from "../desired-state.ts";
import { quoteValue } from "../diagnostics.ts";
import { byKind, grammar, mapOf, only, unsupported } from "./by-kind.ts";
import { External } from "./external.ts";
import { containsAddress, formatIpv4, parseSubnet } from "./ipv4-subnet.ts";
import { ObjectName } from "./object-name.ts";
import { Flag, KeyValues } from "./values.ts";

/** An IPv4 address; others are wishes that berth does not grant. */
const Ipv4 = z.string().transform((text, context) => {
  if (isIPv4(text)) return text;
  context.addIssue(
    isIPv6(text)
      ? unsupported(`the IPv6 address ${text}: use an IPv4 address`)
      : { code: "custom", message: `${quoteValue(text)} is not an IPv4 address` },
  );
  return z.NEVER;
});

/** Bits beyond the prefix are dropped, as Docker does. */
const Subnet = z.string().transform((text, context) => {
  const subnet = parseSubnet(text);
  if (subnet !== undefined) return `${formatIpv4(subnet.base)}/${subnet.prefixLength}`;
  const isIpv6 = isIPv6(text.split("/", 1)[0] ?? "");
  const message = `${quoteValue(text)} is not an IPv4 subnet such as 172.28.0.0/16, with a prefix of 8 to 30`;
  context.addIssue(isIpv6 ? unsupported(`the IPv6 subnet ${text}`) : { code: "custom", message });
  return z.NEVER;
});

const Pool = z
  .strictObject({
    aux_addresses: byKind({ mapping: mapOf(Ipv4) }).optional(),
    gateway: Ipv4.optional(),
    ip_range: Subnet.optional(),
    subnet: Subnet.optional(),
  })
  .transform((pool, context): NetworkAddresses => {
    const { subnet, gateway, ip_range: range, aux_addresses: aux } = pool;
    const reserved = [...(aux?.values() ?? [])].sort();
    const within = [
      ["gateway", gateway],
      ["ip_range", range?.split("/", 1)[0]],
      ...[...(aux ?? [])].map(([key, address]) => [`aux_addresses.${key}`, address] as const),
    ] as const;
    for (const [field, address] of within) {
      if (address === undefined || (subnet !== undefined && containsAddress(subnet, address)))
        continue;
      const message =
        subnet === undefined
          ? "it needs a subnet beside it"
          : `${address} does not lie in the subnet ${subnet}`;
      context.addIssue({ code: "custom", message, path: field.split(".") });
    }
    return {
      ...(subnet === undefined ? {} : { subnet }),
      ...(gateway === undefined ? {} : { gateway }),
      ...(range === undefined ? {} : { range }),
      ...(reserved.length === 0 ? {} : { reserved }),
    };
  });

const Ipam = z
  .strictObject({
    config: z
      .array(Pool)
      .transform((pools, context) => {
        if (pools.length > 1)
          context.addIssue(unsupported("more than one subnet of a network: keep one"));
        return pools[0];
      })
      .optional(),
    driver: only("default", "addresses are given by berth itself").optional(),
  })
  .transform(({ config }) => config);

const icc = "com.docker.network.bridge.enable_icc";
const masquerade = "com.docker.network.bridge.enable_ip_masquerade";

/** Options of Docker's bridge driver that say what is so anyway. */
const DriverOptions = byKind({
  mapping: mapOf(z.union([z.string(), z.number(), z.boolean()])),
}).transform((options, context) => {
  for (const [key, value] of options) {
    if ((key === icc || key === masquerade) && String(value) === "true") continue;
    context.addIssue({ ...unsupported("this option of a driver: remove it"), path: [key] });
  }
  return options;
});

const yes = (what: string) =>
  Flag.transform((flag, context) => {
    if (!flag) context.addIssue(unsupported(`a network without ${what}`));
    return flag;
  });
const no = (what: string) =>
  Flag.transform((flag, context) => {
    if (flag) context.addIssue(unsupported(`${what} in a network: remove it`));
    return flag;
  });

const NetworkFields = z.strictObject({
  attachable: Flag.optional(),
  driver: only("bridge", "bridge is the only driver").optional(),
  driver_opts: DriverOptions.optional(),
  enable_ipv4: yes("IPv4").optional(),
  enable_ipv6: no("IPv6").optional(),
  external: External.optional(),
  internal: Flag.optional(),
  ipam: byKind({ mapping: Ipam }).optional(),
  labels: KeyValues.optional(),
  name: ObjectName.optional(),
});

/** A top-level network; null takes every default. */
export const NetworkModel = byKind({
  null: z.null().transform((): z.infer<typeof NetworkFields> => ({})),
  mapping: NetworkFields,
});
export type NetworkModel = z.infer<typeof NetworkModel>;

/** 02:42:ac:11:65:43, of a single interface. */
export const MacAddress = grammar({
  parse: (text) => {
    const plain = text.toLowerCase().replaceAll("-", ":");
    const isMac = /^[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/.test(plain);
    return isMac && plain !== "00:00:00:00:00:00" ? plain : undefined;
  },
  expected: "a MAC address such as 02:42:ac:11:65:43",
});

const priority = byKind({
  number: z
    .number()
    .refine((value) => Number.isInteger(value), { error: "a whole number is expected" }),
});

/** What a service says of one of its networks; null takes every default. */
const ServiceNetwork = byKind({
  null: z.null(),
  mapping: z.strictObject({
    aliases: z.array(z.string()).optional(),
    gw_priority: priority.optional(),
    ipv4_address: Ipv4.optional(),
    mac_address: MacAddress.optional(),
    priority: priority.optional(),
  }),
});

export const ServiceNetworks = byKind({
  null: z.null().transform((): ReadonlyMap<string, z.infer<typeof ServiceNetwork>> => new Map()),
  list: z
    .array(z.string())
    .transform(
      (list): ReadonlyMap<string, z.infer<typeof ServiceNetwork>> =>
        new Map(list.map((key) => [key, null])),
    ),
  mapping: mapOf(ServiceNetwork),
});
