import type {
  BlockIo,
  DeviceRate,
  NamespaceWish,
  ServiceNamespaces,
  ServiceOptions,
  ServiceSecurity,
} from "../service-options.ts";
import type { ServiceModel } from "./service-model.ts";

/** Says what is wrong at a field of the service. */
export type Conflict = (field: string, message: string) => void;

/** What a service asks for beyond the defaults; only what is written is there. */
export function buildOptions(model: ServiceModel, conflict: Conflict): ServiceOptions {
  const security = securityOf(model, conflict);
  const namespaces = namespacesOf(model);
  const dns = defined({
    servers: model.dns,
    search: model.dns_search,
    options: model.dns_opt,
  });
  return defined({
    security: nonEmpty(security),
    namespaces: nonEmpty(namespaces),
    devices: model.devices,
    deviceRules: model.device_cgroup_rules,
    sysctls: record(model.sysctls),
    ulimits: record(model.ulimits),
    shmBytes: model.shm_size,
    groups: model.group_add,
    oomScoreAdj: model.oom_score_adj,
    domainname: model.domainname,
    extraHosts: model.extra_hosts,
    dns: nonEmpty(dns),
    annotations: record(model.annotations),
  });
}

/** Compose's block I/O settings; undefined where there are none. */
export function blockIoOf(model: ServiceModel): BlockIo | undefined {
  const config = model.blkio_config;
  if (config === undefined) return undefined;
  const rates = (list: readonly DeviceRate[] | undefined) => list;
  return defined({
    weight: config.weight,
    weightDevice: config.weight_device?.map(({ path, weight }) => ({ path, rate: weight })),
    readBytes: rates(config.device_read_bps),
    writeBytes: rates(config.device_write_bps),
    readOperations: rates(config.device_read_iops),
    writeOperations: rates(config.device_write_iops),
  });
}

/** Names of services whose namespaces a service joins: they come before it. */
export function joinedServices(model: ServiceModel): readonly (readonly [string, string])[] {
  return (["network_mode", "pid", "ipc"] as const).flatMap((field) => {
    const value = model[field];
    return value?.startsWith("service:") === true
      ? [[field, value.slice("service:".length)] as const]
      : [];
  });
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** `KEY`, `KEY=VALUE` or `KEY:VALUE`, as engines take them. */
function securityOf(model: ServiceModel, conflict: Conflict): ServiceSecurity {
  const security: Mutable<ServiceSecurity> = {};
  if (model.privileged === true) security.privileged = true;
  if (model.cap_add !== undefined) security.capabilitiesAdded = model.cap_add;
  if (model.cap_drop !== undefined) security.capabilitiesDropped = model.cap_drop;
  const labels: string[] = [];
  for (const option of model.security_opt ?? []) {
    const [, key = option, value = ""] = /^([a-z-]+)(?:[=:](.*))?$/s.exec(option) ?? [];
    if (key === "no-new-privileges" && ["", "true", "false"].includes(value)) {
      security.noNewPrivileges = value !== "false";
    } else if (key === "seccomp" && (value === "unconfined" || value.startsWith("{"))) {
      security.seccomp = value;
    } else if (key === "seccomp") {
      conflict(
        "security_opt",
        `the seccomp profile ${JSON.stringify(value)} is a path: write the profile's JSON itself, or unconfined`,
      );
    } else if (key === "systempaths" && value === "unconfined") {
      security.systemPathsShown = true;
    } else if (key === "apparmor") {
      security.apparmor = value;
    } else if (key === "label") {
      labels.push(value);
    } else {
      conflict(
        "security_opt",
        `${JSON.stringify(option)} is not known: no-new-privileges, seccomp=…, systempaths=unconfined, apparmor=… or label=… is expected`,
      );
    }
  }
  if (labels.length > 0) security.selinuxLabels = labels;
  return security;
}

function namespacesOf(model: ServiceModel): ServiceNamespaces {
  return defined({
    user: model.userns_mode === "host" ? ("host" as const) : undefined,
    pid: wish(model.pid),
    ipc: wish(model.ipc),
    uts: model.uts === "host" ? ("host" as const) : undefined,
    cgroup: model.cgroup === "host" ? ("host" as const) : undefined,
    network: model.network_mode === "none" ? ("none" as const) : wish(model.network_mode),
  });
}

function wish(text: string | undefined): NamespaceWish | undefined {
  if (text === "host") return "host";
  return text?.startsWith("service:") === true
    ? { service: text.slice("service:".length) }
    : undefined;
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

function defined<T extends object>(values: T): Defined<T> {
  // Only entries whose value is there are kept.
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as Defined<T>;
}

function nonEmpty<T extends object>(value: T): T | undefined {
  return Object.keys(value).length === 0 ? undefined : value;
}

function record<Value>(
  map: ReadonlyMap<string, Value> | undefined,
): Readonly<Record<string, Value>> | undefined {
  return map === undefined ? undefined : Object.fromEntries(map);
}
