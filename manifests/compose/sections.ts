import { serviceRefusals, topLevelRefusals } from "./refusals.ts";

/**
 * How the value of an accepted key is read: `value` as it stands; `texts` as a free mapping or
 * list whose scalars keep the text Compose prints; or as one, a list, or a mapping of sections.
 */
export type KeyRule =
  | "value"
  | "texts"
  | { readonly one: Section }
  | { readonly listOf: Section }
  | { readonly mapOf: Section };

/**
 * The keys that Compose knows in one kind of mapping: those read here, and those refused, with
 * what to do.
 */
export type Section = {
  readonly accepted: ReadonlyMap<string, KeyRule>;
  readonly refused: ReadonlyMap<string, string>;
};

const healthcheck = section({
  disable: "value",
  interval: "value",
  retries: "value",
  start_interval: "value",
  start_period: "value",
  test: "value",
  timeout: "value",
});

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
      one: section({ create_host_path: "value" }, { propagation: "", recursive: "", selinux: "" }),
    },
    read_only: "value",
    source: "value",
    target: "value",
    tmpfs: { one: section({ mode: "value", size: "value" }) },
    type: "value",
    volume: { one: section({ nocopy: "value" }, { labels: "", subpath: "" }) },
  },
  { consistency: "it has no effect on Linux, remove it", image: "" },
);

const resources = section({
  limits: { one: section({ cpus: "value", memory: "value", pids: "value" }) },
  reservations: {
    one: section({ memory: "value" }, { cpus: "", devices: "", generic_resources: "" }),
  },
});

const deploy = section(
  { mode: "value", replicas: "value", resources: { one: resources } },
  {
    endpoint_mode: "",
    labels: "use labels of the service",
    placement: "",
    restart_policy: "use restart of the service",
    rollback_config: "",
    update_config: "",
  },
);

const dependency = section({ condition: "value", required: "value", restart: "value" });

const serviceNetwork = section(
  { aliases: "value" },
  {
    driver_opts: "",
    gw_priority: "",
    interface_name: "",
    ipv4_address: "reach the service by its name",
    ipv6_address: "reach the service by its name",
    link_local_ips: "",
    mac_address: "",
    priority: "",
  },
);

export const service = section(
  {
    command: "value",
    cpus: "value",
    depends_on: { mapOf: dependency },
    deploy: { one: deploy },
    entrypoint: "value",
    environment: "texts",
    healthcheck: { one: healthcheck },
    hostname: "value",
    image: "value",
    init: "value",
    labels: "texts",
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
    working_dir: "value",
  },
  serviceRefusals,
);

const volume = section(
  { driver: "value", external: "value", labels: "texts", name: "value" },
  { driver_opts: "mount the source with a bind mount" },
);

const network = section(
  { driver: "value", internal: "value", labels: "texts", name: "value" },
  { attachable: "", driver_opts: "", enable_ipv4: "", enable_ipv6: "", external: "", ipam: "" },
);

export const composeFile = section(
  {
    name: "value",
    networks: { mapOf: network },
    services: { mapOf: service },
    version: "value",
    volumes: { mapOf: volume },
  },
  topLevelRefusals,
);

function section(
  accepted: Readonly<Record<string, KeyRule>>,
  refused: Readonly<Record<string, string>> = {},
): Section {
  return {
    accepted: new Map(Object.entries(accepted)),
    refused: new Map(Object.entries(refused)),
  };
}
