import {
  bytes,
  command,
  duration,
  extraHosts,
  flag,
  isObject,
  type Kind,
  keptDuration,
  keptFlag,
  keptNumber,
  labels,
  listOf,
  mapOf,
  mode,
  number,
  optOut,
  struct,
  structWith,
  text,
  texts,
  variables,
} from "./kinds.ts";

const fileMount = struct({ gid: text, mode, source: text, target: text, uid: text });

const ulimits: Kind = mapOf((node) =>
  node.kind === "mapping" ? struct({ hard: number, soft: number })(node) : keptNumber(node),
);

const build = struct({
  additional_contexts: labels,
  args: variables,
  cache_from: texts,
  cache_to: texts,
  context: text,
  dockerfile: text,
  dockerfile_inline: text,
  entitlements: texts,
  extra_hosts: extraHosts,
  isolation: text,
  labels,
  network: text,
  no_cache: flag,
  no_cache_filter: texts,
  platforms: texts,
  privileged: flag,
  provenance: text,
  pull: flag,
  sbom: text,
  secrets: listOf(fileMount),
  shm_size: bytes,
  tags: texts,
  target: text,
  ulimits,
});

/** Compose prints these with capitals. */
const capitals =
  (kind: Kind): Kind =>
  (node) => {
    const printed = kind(node);
    if (!isObject(printed)) return printed;
    return Object.fromEntries(
      Object.entries(printed).map(([key, value]) => [
        `${key.charAt(0).toUpperCase()}${key.slice(1)}`,
        value,
      ]),
    );
  };

const rate = listOf(capitals(structWith({ path: text, rate: bytes }, { rate: "0" })));

const blkio = struct({
  device_read_bps: rate,
  device_read_iops: rate,
  device_write_bps: rate,
  device_write_iops: rate,
  weight: number,
  weight_device: listOf(capitals(structWith({ path: text, weight: number }, { weight: 0 }))),
});

const updatePolicy = struct({
  delay: duration,
  failure_action: text,
  max_failure_ratio: number,
  monitor: duration,
  order: text,
  parallelism: keptNumber,
});

const resource = struct({ cpus: number, memory: bytes, pids: number });

const deploy = structWith(
  {
    endpoint_mode: text,
    labels,
    mode: text,
    placement: struct({
      constraints: texts,
      max_replicas_per_node: number,
      preferences: listOf(struct({ spread: text })),
    }),
    replicas: keptNumber,
    resources: struct({ limits: resource, reservations: resource }),
    restart_policy: struct({
      condition: text,
      delay: keptDuration,
      max_attempts: keptNumber,
      window: keptDuration,
    }),
    rollback_config: updatePolicy,
    update_config: updatePolicy,
  },
  { placement: {}, resources: {} },
);

const exec = structWith(
  { command, environment: variables, privileged: flag, user: text, working_dir: text },
  { command: null },
);

const develop = struct({
  watch: listOf(
    structWith(
      {
        action: text,
        exec,
        ignore: texts,
        include: texts,
        initial_sync: flag,
        path: text,
        target: text,
      },
      { exec: { command: null } },
    ),
  ),
});

const healthcheckTest: Kind = (node) => {
  if (node.kind === "scalar" && node.text !== "") return ["CMD-SHELL", node.text];
  return texts(node);
};

const healthcheck = struct({
  disable: flag,
  interval: keptDuration,
  retries: keptNumber,
  start_interval: keptDuration,
  start_period: keptDuration,
  test: healthcheckTest,
  timeout: keptDuration,
});

const mount = struct({
  bind: struct({ create_host_path: optOut, propagation: text, recursive: text, selinux: text }),
  consistency: text,
  read_only: flag,
  source: text,
  target: text,
  tmpfs: struct({ mode: number, size: bytes }),
  type: text,
  volume: struct({ labels, nocopy: flag, subpath: text }),
});

const port = structWith(
  {
    app_protocol: text,
    host_ip: text,
    mode: text,
    name: text,
    protocol: text,
    published: text,
    target: number,
  },
  { mode: "ingress", protocol: "tcp" },
);

const serviceNetwork = struct({
  aliases: texts,
  driver_opts: labels,
  gw_priority: number,
  ipv4_address: text,
  mac_address: text,
  priority: number,
});

const dependency = structWith(
  { condition: text, required: keptFlag, restart: flag },
  { required: true },
);

/** A service as Compose prints it; `env_file` and `label_file` are in `environment` and `labels`. */
export const service: Kind = structWith(
  {
    annotations: labels,
    attach: keptFlag,
    blkio_config: blkio,
    build,
    cap_add: texts,
    cap_drop: texts,
    cgroup: text,
    command,
    configs: listOf(fileMount),
    container_name: text,
    cpu_period: number,
    cpu_quota: number,
    cpu_shares: number,
    cpus: number,
    cpuset: text,
    depends_on: mapOf(dependency),
    deploy,
    develop,
    device_cgroup_rules: texts,
    devices: listOf(struct({ permissions: text, source: text, target: text })),
    dns: texts,
    dns_opt: texts,
    dns_search: texts,
    domainname: text,
    entrypoint: command,
    environment: variables,
    expose: texts,
    extra_hosts: extraHosts,
    group_add: texts,
    healthcheck,
    hostname: text,
    image: text,
    init: keptFlag,
    ipc: text,
    labels,
    links: texts,
    logging: struct({ driver: text, options: labels }),
    mac_address: text,
    mem_limit: bytes,
    mem_reservation: bytes,
    mem_swappiness: bytes,
    memswap_limit: bytes,
    network_mode: text,
    networks: mapOf(serviceNetwork),
    oom_score_adj: number,
    pid: text,
    pids_limit: number,
    platform: text,
    ports: listOf(port),
    privileged: flag,
    profiles: texts,
    pull_policy: text,
    read_only: flag,
    restart: text,
    scale: keptNumber,
    secrets: listOf(fileMount),
    security_opt: texts,
    shm_size: bytes,
    stdin_open: flag,
    stop_grace_period: keptDuration,
    stop_signal: text,
    sysctls: labels,
    tmpfs: texts,
    tty: flag,
    ulimits,
    user: text,
    userns_mode: text,
    uts: text,
    volumes: listOf(mount),
    volumes_from: texts,
    working_dir: text,
  },
  { command: null, entrypoint: null },
);

const pool = struct({ aux_addresses: labels, gateway: text, ip_range: text, subnet: text });

const external: Kind = (node) => (node.kind === "mapping" ? true : flag(node));

/** What stands at the top level beside services, by its key. */
export const resources: Readonly<Record<string, Kind>> = {
  configs: mapOf(
    struct({ content: text, environment: text, external, file: text, labels, name: text }),
  ),
  networks: mapOf(
    structWith(
      {
        attachable: flag,
        driver: text,
        driver_opts: labels,
        enable_ipv4: keptFlag,
        enable_ipv6: keptFlag,
        external,
        internal: flag,
        ipam: struct({ config: listOf(pool), driver: text, options: labels }),
        labels,
        name: text,
      },
      { ipam: {} },
    ),
  ),
  secrets: mapOf(struct({ environment: text, external, file: text, labels, name: text })),
  volumes: mapOf(struct({ driver: text, driver_opts: labels, external, labels, name: text })),
};
