import { build, develop } from "./build-sections.ts";
import { extension, timing } from "./extension-section.ts";
import { logOptions, serviceRefusals, topLevelRefusals } from "./refusals.ts";
import { extensionKey, type KeyRule, section } from "./section.ts";

const healthcheck = section({ ...timing, disable: "value", test: "value" });

const port = section({
  app_protocol: "value",
  host_ip: "value",
  mode: "value",
  name: "value",
  protocol: "value",
  published: "value",
  target: "value",
});

const mount = section(
  {
    bind: {
      one: section({
        create_host_path: "value",
        propagation: "value",
        recursive: "value",
        selinux: "value",
      }),
    },
    read_only: "value",
    source: "value",
    target: "value",
    tmpfs: { one: section({ mode: "value", size: "value" }) },
    type: "value",
    consistency: "value",
    volume: {
      one: section({ nocopy: "value", subpath: "value" }, { labels: "label the volume itself" }),
    },
  },
  { image: "" },
);

const resources = section({
  limits: { one: section({ cpus: "value", memory: "value", pids: "value" }) },
  reservations: {
    one: section({ cpus: "value", memory: "value" }, { devices: "", generic_resources: "" }),
  },
});

const updatePolicy = section({
  delay: "value",
  failure_action: "value",
  max_failure_ratio: "value",
  monitor: "value",
  order: "value",
  parallelism: "value",
});

const deploy = section({
  endpoint_mode: "value",
  labels: "texts",
  mode: "value",
  placement: {
    one: section({
      constraints: "value",
      max_replicas_per_node: "value",
      preferences: { listOf: section({ spread: "value" }) },
    }),
  },
  replicas: "value",
  resources: { one: resources },
  restart_policy: {
    one: section({ condition: "value", delay: "value", max_attempts: "value", window: "value" }),
  },
  rollback_config: { one: updatePolicy },
  update_config: { one: updatePolicy },
});

const dependency = section({ condition: "value", required: "value", restart: "value" });

const serviceNetwork = section(
  {
    aliases: "value",
    gw_priority: "value",
    ipv4_address: "value",
    mac_address: "value",
    priority: "value",
  },
  {
    driver_opts: "",
    interface_name: "interfaces are called eth0, eth1 and so on, remove it",
    ipv6_address: "use ipv4_address",
    link_local_ips: "",
  },
);

const rate = section({ path: "value", rate: "value" });
const blockIo = section({
  device_read_bps: { listOf: rate },
  device_read_iops: { listOf: rate },
  device_write_bps: { listOf: rate },
  device_write_iops: { listOf: rate },
  weight: "value",
  weight_device: { listOf: section({ path: "value", weight: "value" }) },
});

/** Keys that change what a container may do, see or use up. */
const options: Readonly<Record<string, KeyRule>> = {
  annotations: "texts",
  blkio_config: { one: blockIo },
  cap_add: "value",
  cap_drop: "value",
  cgroup: "value",
  cpu_period: "value",
  cpu_quota: "value",
  cpu_shares: "value",
  cpuset: "value",
  device_cgroup_rules: "value",
  devices: { listOf: section({ permissions: "value", source: "value", target: "value" }) },
  dns: "value",
  dns_opt: "value",
  dns_search: "value",
  domainname: "value",
  extra_hosts: "value",
  group_add: "value",
  ipc: "value",
  mem_swappiness: "value",
  memswap_limit: "value",
  network_mode: "value",
  oom_score_adj: "value",
  pid: "value",
  privileged: "value",
  security_opt: "value",
  shm_size: "value",
  sysctls: "texts",
  ulimits: { mapOf: section({ hard: "value", soft: "value" }) },
  userns_mode: "value",
  uts: "value",
};

/** Keys about how a service is run: its names, files, image and log. */
const run: Readonly<Record<string, KeyRule>> = {
  attach: "value",
  build: { one: build },
  container_name: "value",
  develop: { one: develop },
  env_file: { listOf: section({ format: "value", path: "value", required: "value" }) },
  expose: "value",
  label_file: "value",
  links: "value",
  logging: {
    one: section({
      driver: "value",
      options: {
        one: section(
          { "max-file": "value", "max-size": "value" },
          logOptions,
          "an option of another log driver: remove it",
        ),
      },
    }),
  },
  platform: "value",
  profiles: "value",
  pull_policy: "value",
};

const grant = section({
  gid: "value",
  mode: "value",
  source: "value",
  target: "value",
  uid: "value",
});

export const service = section(
  {
    ...options,
    ...run,
    command: "value",
    configs: { listOf: grant },
    secrets: { listOf: grant },
    cpus: "value",
    depends_on: { mapOf: dependency },
    deploy: { one: deploy },
    entrypoint: "value",
    extends: "value",
    environment: "texts",
    healthcheck: { one: healthcheck },
    hostname: "value",
    image: "value",
    init: "value",
    labels: "texts",
    mac_address: "value",
    mem_limit: "value",
    mem_reservation: "value",
    networks: { mapOf: serviceNetwork },
    pids_limit: "value",
    ports: { listOf: port },
    read_only: "value",
    restart: "value",
    scale: "value",
    stdin_open: "value",
    stop_grace_period: "value",
    stop_signal: "value",
    tmpfs: "value",
    tty: "value",
    user: "value",
    volumes: { listOf: mount },
    volumes_from: "value",
    working_dir: "value",
    [extensionKey]: { one: extension },
  },
  serviceRefusals,
);

const external: KeyRule = { one: section({ name: "value" }) };

const volume = section({
  driver: "value",
  driver_opts: "value",
  external,
  labels: "texts",
  name: "value",
});

const pool = section({
  aux_addresses: "value",
  gateway: "value",
  ip_range: "value",
  subnet: "value",
});

const network = section({
  attachable: "value",
  driver: "value",
  driver_opts: "value",
  enable_ipv4: "value",
  enable_ipv6: "value",
  external,
  internal: "value",
  ipam: { one: section({ config: { listOf: pool }, driver: "value" }, { options: "" }) },
  labels: "texts",
  name: "value",
});

const configFile = section(
  {
    content: "value",
    environment: "value",
    external: "value",
    file: "value",
    labels: "texts",
    name: "value",
  },
  { template_driver: "write the content as it is" },
);

const secretFile = section(
  { environment: "value", external: "value", file: "value", labels: "texts", name: "value" },
  { driver: "", driver_opts: "", template_driver: "write the content as it is" },
);

export const composeFile = section(
  {
    configs: { mapOf: configFile },
    secrets: { mapOf: secretFile },
    include: "value",
    name: "value",
    networks: { mapOf: network },
    services: { mapOf: service },
    version: "value",
    volumes: { mapOf: volume },
  },
  topLevelRefusals,
);
