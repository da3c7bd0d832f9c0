import { z } from "zod";
import { byKind, grammar, mapOf } from "./by-kind.ts";
import { ByteSize, Flag, KeyValues, parseDurationMs, wholeNumber } from "./values.ts";

/** A name, or `host`, `private`, `service:NAME` and the like, as each field allows. */
function mode(expected: string, pattern: RegExp) {
  return grammar({ parse: (text) => (pattern.test(text) ? text : undefined), expected });
}

const serviceName = "service:[a-zA-Z0-9][a-zA-Z0-9._-]*";

/** `1024`, or `{soft: 1024, hard: 2048}`; -1 means no limit. */
const LimitNumber = wholeNumber({ min: -1, max: 2 ** 53 - 1 });
const Ulimit = byKind({
  number: LimitNumber.transform((value) => ({ soft: value, hard: value })),
  string: LimitNumber.transform((value) => ({ soft: value, hard: value })),
  mapping: z.strictObject({ soft: LimitNumber, hard: LimitNumber }),
});

/** `SOURCE[:TARGET[:rwm]]`, or the long form. */
const Device = byKind({
  string: grammar({
    parse: parseDevice,
    expected: "a device: /dev/SOURCE[:/dev/TARGET[:rwm]]",
  }),
  mapping: z
    .strictObject({
      source: z.string(),
      target: z.string().optional(),
      permissions: z
        .string()
        .regex(/^[rwm]{1,3}$/, { error: "letters of rwm are expected" })
        .optional(),
    })
    .transform(({ source, target, permissions }) => ({
      source,
      target: target ?? source,
      permissions: permissions ?? "rwm",
    })),
});

const DeviceRule = grammar({
  parse: (text) =>
    /^[abc] (?:[0-9]{1,7}|\*):(?:[0-9]{1,7}|\*) [rwm]{1,3}$/.test(text) ? text : undefined,
  expected: 'a device rule such as "c 188:* rwm"',
});

const Rate = z.strictObject({
  path: z.string(),
  rate: byKind({
    number: wholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER }),
    string: ByteSize,
  }),
});
const Weight = wholeNumber({ min: 10, max: 1000 });

const BlockIo = byKind({
  mapping: z.strictObject({
    weight: Weight.optional(),
    weight_device: z.array(z.strictObject({ path: z.string(), weight: Weight })).optional(),
    device_read_bps: z.array(Rate).optional(),
    device_write_bps: z.array(Rate).optional(),
    device_read_iops: z.array(Rate).optional(),
    device_write_iops: z.array(Rate).optional(),
  }),
});

/** A mapping of texts, or a list of `NAME=VALUE`; what has no value is empty. */
const Settings = KeyValues.transform(
  (pairs): ReadonlyMap<string, string> =>
    new Map([...pairs].map(([key, value]) => [key, value ?? ""])),
);

/** A mapping of names to addresses, or a list of `NAME:ADDRESS` or `NAME=ADDRESS`. */
const ExtraHosts = byKind({
  mapping: mapOf(
    byKind({ string: z.string().transform((text) => [text]), list: z.array(z.string()) }),
  ).transform((map) =>
    [...map].flatMap(([name, addresses]) => addresses.map((address) => ({ name, address }))),
  ),
  list: z.array(
    grammar({
      parse: (text) => {
        const match = /^([^\s:=]+)[:=](\S+)$/.exec(text);
        return match?.[1] === undefined || match[2] === undefined
          ? undefined
          : { name: match[1], address: match[2].replace(/^\[(.*)\]$/, "$1") };
      },
      expected: "NAME:ADDRESS",
    }),
  ),
});

const Texts = byKind({
  string: z.string().transform((text) => [text]),
  list: z.array(z.string()),
});

const Capability = grammar({
  parse: (text) => (/^(?:CAP_)?[A-Z_]{2,40}$/i.test(text) ? text.toUpperCase() : undefined),
  expected: "a capability such as NET_ADMIN, or ALL",
});

const Group = byKind({
  number: wholeNumber({ min: 0, max: 65_535 }).transform(String),
  string: grammar({
    parse: (text) => (/^[^\s:]+$/.test(text) ? text : undefined),
    expected: "a group: its id or its name in the image",
  }),
});

/** Keys of a Compose service that change what its containers may do, see or use up. */
export const serviceOptions = {
  annotations: Settings.optional(),
  blkio_config: BlockIo.optional(),
  cap_add: z.array(Capability).optional(),
  cap_drop: z.array(Capability).optional(),
  cgroup: mode("host or private", /^(?:host|private)$/).optional(),
  cpu_period: microseconds({ min: 1000, max: 1_000_000 }).optional(),
  cpu_quota: microseconds({ min: -1, max: 2 ** 40 }).optional(),
  cpu_shares: wholeNumber({ min: 2, max: 262_144 }).optional(),
  cpuset: mode(
    "a set of CPUs such as 0-2,4",
    /^[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*$/,
  ).optional(),
  device_cgroup_rules: z.array(DeviceRule).optional(),
  devices: z.array(Device).optional(),
  dns: Texts.optional(),
  dns_opt: z.array(z.string()).optional(),
  dns_search: Texts.optional(),
  domainname: mode("a domain name", /^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?$/i).optional(),
  extra_hosts: ExtraHosts.optional(),
  group_add: z.array(Group).optional(),
  ipc: mode(
    "host, private, shareable or service:NAME",
    new RegExp(`^(?:host|private|shareable|${serviceName})$`),
  ).optional(),
  mem_swappiness: wholeNumber({ min: 0, max: 100 }).optional(),
  memswap_limit: byKind({
    number: wholeNumber({ min: -1, max: Number.MAX_SAFE_INTEGER }),
    string: z.union([z.literal("-1").transform(() => -1), ByteSize]),
  }).optional(),
  network_mode: mode(
    "none, host, bridge or service:NAME",
    new RegExp(`^(?:none|host|bridge|container:.+|${serviceName})$`),
  ).optional(),
  oom_score_adj: wholeNumber({ min: -1000, max: 1000 }).optional(),
  pid: byKind({
    null: z.null().transform(() => undefined),
    string: mode("host or service:NAME", new RegExp(`^(?:host|${serviceName})$`)),
  }).optional(),
  privileged: Flag.optional(),
  security_opt: z.array(z.string()).optional(),
  shm_size: ByteSize.optional(),
  sysctls: Settings.optional(),
  ulimits: byKind({ mapping: mapOf(Ulimit) }).optional(),
  userns_mode: mode("host", /^(?:host|)$/).optional(),
  uts: mode("host", /^host$/).optional(),
};

/** A whole number as it stands or as text, or a duration. */
function microseconds(range: { readonly min: number; readonly max: number }) {
  const parse = (text: string) => {
    const ms = parseDurationMs(text);
    const value = /^[-+]?[0-9]{1,15}$/.test(text) ? Number(text) : (ms ?? Number.NaN) * 1000;
    return value >= range.min && value <= range.max ? value : undefined;
  };
  const expected = `a number of microseconds from ${range.min} to ${range.max}, or a duration such as 50ms`;
  return byKind({ number: wholeNumber(range), string: grammar({ parse, expected }) });
}

function parseDevice(text: string) {
  const match = /^(\/[^:]+)(?::(\/[^:]+))?(?::([rwm]{1,3}))?$/.exec(text);
  if (match?.[1] === undefined) return undefined;
  return { source: match[1], target: match[2] ?? match[1], permissions: match[3] ?? "rwm" };
}
