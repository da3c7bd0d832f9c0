import { type ComposeValues, compact } from "./conversion.ts";
import { readUnit, type UnitSection, unitWords } from "./quadlet-unit.ts";

/** What a `.container` file needs to know of the others. */
export type QuadletNames = {
  readonly containers: ReadonlySet<string>;
  readonly note: (key: string, why: string) => void;
};

export type QuadletService = {
  readonly service: ComposeValues;
  readonly volumes: readonly string[];
  readonly networks: readonly string[];
};

/** Keys of [Container] that mean the same as one key of a Compose service. */
const texts: Readonly<Record<string, string>> = {
  ContainerName: "container_name",
  Entrypoint: "entrypoint",
  Exec: "command",
  HostName: "hostname",
  Image: "image",
  Memory: "mem_limit",
  PidsLimit: "pids_limit",
  ShmSize: "shm_size",
  StopSignal: "stop_signal",
  WorkingDir: "working_dir",
};

const lists: Readonly<Record<string, string>> = {
  AddDevice: "devices",
  AddHost: "extra_hosts",
  DNS: "dns",
  DNSOption: "dns_opt",
  DNSSearch: "dns_search",
  EnvironmentFile: "env_file",
  ExposeHostPort: "expose",
  GroupAdd: "group_add",
  PublishPort: "ports",
  Tmpfs: "tmpfs",
};

/** Values of several words. */
const wordLists: Readonly<Record<string, string>> = {
  AddCapability: "cap_add",
  DropCapability: "cap_drop",
};

const mappings: Readonly<Record<string, string>> = {
  Annotation: "annotations",
  Environment: "environment",
  Label: "labels",
  Sysctl: "sysctls",
};

const flags: Readonly<Record<string, string>> = { ReadOnly: "read_only", RunInit: "init" };

/** A `.container` file as a Compose service. */
export function convertContainer(text: string, names: QuadletNames): QuadletService {
  const unit = readUnit(text);
  const own = unit.get("Container") ?? new Map<string, readonly string[]>();
  const mounts = mountsOf(own, names);
  const network = networkOf(own, names);
  const service = compact({
    ...simple(own),
    user: userOf(own),
    ...network.fields,
    volumes: mounts.volumes,
    ulimits: ulimitsOf(own),
    security_opt: securityOf(own),
    stop_grace_period: seconds(last(own, "StopTimeout")),
    pull_policy: pullOf(own),
    healthcheck: healthcheckOf(own),
    depends_on: dependenciesOf(unit.get("Unit"), names),
    restart: restartOf(unit.get("Service"), names),
  });
  noteRest(unit, names);
  return { service, volumes: mounts.named, networks: network.named };
}

function last(section: UnitSection | undefined, key: string): string | undefined {
  return section?.get(key)?.at(-1);
}

function isTrue(text: string | undefined): boolean {
  return /^(?:1|yes|true|on)$/i.test(text ?? "");
}

function simple(own: UnitSection): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(texts)) fields[field] = last(own, key);
  for (const [key, field] of Object.entries(lists)) fields[field] = own.get(key);
  for (const [key, field] of Object.entries(wordLists))
    fields[field] = own.get(key)?.flatMap((value) => value.split(/\s+/));
  for (const [key, field] of Object.entries(mappings))
    fields[field] = Object.fromEntries((own.get(key) ?? []).flatMap(unitWords).map(pair));
  for (const [key, field] of Object.entries(flags))
    fields[field] = own.has(key) ? isTrue(last(own, key)) : undefined;
  return fields;
}

function pair(word: string): readonly [string, string] {
  const cut = word.indexOf("=");
  return cut === -1 ? [word, ""] : [word.slice(0, cut), word.slice(cut + 1)];
}

function userOf(own: UnitSection): string | undefined {
  const [user, group] = [last(own, "User"), last(own, "Group")];
  return user === undefined || group === undefined ? user : `${user}:${group}`;
}

function mountsOf(own: UnitSection, { note }: QuadletNames) {
  const named: string[] = [];
  const volumes = (own.get("Volume") ?? []).map((value) => {
    const [source = "", target, options] = value.split(":");
    const kept = (options ?? "").split(",").filter((option) => /^(?:ro|rw|nocopy)$/.test(option));
    const lost = (options ?? "")
      .split(",")
      .filter((option) => option !== "" && !kept.includes(option));
    if (lost.length > 0)
      note("Volume", `${value}: the options ${lost.join(", ")} are not needed here`);
    if (target === undefined) return source;
    const name = source.replace(/\.volume$/, "");
    const isPath = /^[./~%]/.test(source);
    if (!isPath) named.push(name);
    if (source.includes("%"))
      note("Volume", `${value}: write the path out, specifiers are not known here`);
    return [isPath ? source : name, target, ...(kept.length > 0 ? [kept.join(",")] : [])].join(":");
  });
  return { volumes, named };
}

function networkOf(own: UnitSection, { containers, note }: QuadletNames) {
  const named: string[] = [];
  const fields: Record<string, unknown> = {};
  for (const value of own.get("Network") ?? []) {
    const name = value.replace(/\.network$/, "");
    const joined = /^(?:container:)?(.+)\.container$/.exec(value)?.[1];
    if (value === "host" || value === "none") fields.network_mode = value;
    else if (joined !== undefined && containers.has(joined))
      fields.network_mode = `service:${joined}`;
    else if (
      /^[a-zA-Z0-9][\w.-]*$/.test(name) &&
      !/^(?:bridge|private|pasta|slirp4netns)$/.test(name)
    )
      named.push(name);
    else if (value !== "bridge")
      note("Network", `${value}: services of an app share a network of their own`);
  }
  if (named.length > 0) fields.networks = named;
  return { named, fields };
}

function ulimitsOf(own: UnitSection): ComposeValues {
  return Object.fromEntries(
    (own.get("Ulimit") ?? []).map((value) => {
      const [name, limits = ""] = pair(value);
      const [soft, hard = soft] = limits.split(":").map(Number);
      return [name, { soft, hard }];
    }),
  );
}

function securityOf(own: UnitSection): readonly string[] {
  const seccomp = last(own, "SeccompProfile");
  return [
    ...(isTrue(last(own, "NoNewPrivileges")) ? ["no-new-privileges:true"] : []),
    ...(isTrue(last(own, "SecurityLabelDisable")) ? ["label=disable"] : []),
    ...(seccomp === undefined ? [] : [`seccomp=${seccomp}`]),
  ];
}

function seconds(text: string | undefined): string | undefined {
  return text !== undefined && /^\d+$/.test(text) ? `${text}s` : text;
}

function pullOf(own: UnitSection): string | undefined {
  const policy = last(own, "Pull");
  return policy === "newer" ? "always" : policy;
}

function healthcheckOf(own: UnitSection): ComposeValues {
  const test = last(own, "HealthCmd");
  if (test === "none") return { disable: true };
  return compact({
    test,
    interval: last(own, "HealthInterval"),
    timeout: last(own, "HealthTimeout"),
    retries: last(own, "HealthRetries"),
    start_period: last(own, "HealthStartPeriod"),
  });
}

function dependenciesOf(unit: UnitSection | undefined, { containers, note }: QuadletNames) {
  const names = new Set<string>();
  for (const key of ["Requires", "Wants", "BindsTo", "After"]) {
    for (const word of (unit?.get(key) ?? []).flatMap((value) => value.split(/\s+/))) {
      const name = word.replace(/\.(?:service|container)$/, "");
      if (containers.has(name)) names.add(name);
      else if (!/^(?:network|local-fs|multi-user|network-online)\.target$/.test(word))
        note(key, `${word} is no container of this set`);
    }
  }
  return [...names].sort();
}

function restartOf(service: UnitSection | undefined, { note }: QuadletNames): string | undefined {
  const policy = last(service, "Restart");
  if (policy === undefined || policy === "no") return policy;
  if (policy === "always" || policy === "on-failure") return policy;
  note("Restart", `${policy}: on-failure is the nearest there is`);
  return "on-failure";
}

const handled = new Set([
  ...Object.keys({ ...texts, ...lists, ...wordLists, ...mappings, ...flags }),
  ..."User Group Volume Network Ulimit NoNewPrivileges SecurityLabelDisable SeccompProfile StopTimeout Pull".split(
    " ",
  ),
  ..."HealthCmd HealthInterval HealthTimeout HealthRetries HealthStartPeriod".split(" "),
  ..."Requires Wants BindsTo After Restart Description WantedBy".split(" "),
]);

/** What Compose has, and a unit does not say enough for. */
const elsewhere = new Map([
  [
    "Secret",
    "its content is in Podman's own store: encrypt it into the repository (berth secrets encrypt), and name the file under secrets",
  ],
]);

function noteRest(unit: ReadonlyMap<string, UnitSection>, { note }: QuadletNames): void {
  for (const [section, keys] of unit) {
    for (const [key, values] of keys) {
      if (handled.has(key)) continue;
      const why = elsewhere.get(key) ?? `[${section}] has no counterpart in Compose`;
      note(key, `${values.join(" ")}: ${why}`);
    }
  }
}
