import { resolve } from "node:path";
import { type ComposeValues, compact } from "../manifests/convert/conversion.ts";
import type { BorrowedMount } from "./borrow-mounts.ts";
import { runNetworks } from "./run-networks.ts";

type Texts = readonly string[];
type Pairs = Readonly<Record<string, string>>;

/** As commander gives them; `declare-run-options.ts` says what each is. */
export type RunOptions = {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly readOnly?: boolean;
  readonly init?: boolean;
  readonly privileged?: boolean;
  /** False after `--no-healthcheck`. */
  readonly healthcheck?: boolean;
  readonly restart: string;
  readonly env?: Pairs;
  readonly label?: Pairs;
  readonly annotation?: Pairs;
  readonly sysctl?: Pairs;
  readonly logOpt?: Pairs;
} & { readonly [Key in ListKey]?: Texts } & { readonly [Key in TextKey]?: string };

type ListKey =
  | "publish"
  | "expose"
  | "volume"
  | "mount"
  | "tmpfs"
  | "device"
  | "network"
  | "networkAlias"
  | "addHost"
  | "dns"
  | "dnsSearch"
  | "dnsOption"
  | "groupAdd"
  | "capAdd"
  | "capDrop"
  | "securityOpt"
  | "ulimit";

type TextKey =
  | "user"
  | "workdir"
  | "hostname"
  | "domainname"
  | "entrypoint"
  | "platform"
  | "memory"
  | "memoryReservation"
  | "memorySwap"
  | "shmSize"
  | "cpus"
  | "cpuShares"
  | "cpusetCpus"
  | "pidsLimit"
  | "oomScoreAdj"
  | "ip"
  | "macAddress"
  | "pid"
  | "ipc"
  | "uts"
  | "userns"
  | "cgroupns"
  | "healthCmd"
  | "healthInterval"
  | "healthTimeout"
  | "healthStartPeriod"
  | "healthStartInterval"
  | "healthRetries"
  | "stopSignal"
  | "stopTimeout"
  | "logDriver";

/** Pure, but for the directory that relative paths of the host are resolved from. The values of a Compose file. */
export function runCompose(options: {
  readonly name: string;
  readonly image: string;
  readonly command: Texts;
  readonly given: RunOptions;
  /** Of other containers; what is mounted at the same place goes before. */
  readonly borrowed: readonly BorrowedMount[];
}): ComposeValues {
  const { name, image, command, given, borrowed } = options;
  const own = [...(given.volume ?? []).map(absolute), ...(given.mount ?? []).map(longMount)];
  const tmpfs = (given.tmpfs ?? []).map((text) => text.split(":")[0]);
  const targets = new Set([...own.map(targetOf), ...tmpfs]);
  const volumes = [...own, ...borrowed.filter(({ target }) => !targets.has(target))];
  const named = volumes.flatMap(volumeName);
  const networks = runNetworks(given);
  return {
    name,
    services: {
      [name]: compact({
        image,
        container_name: name,
        command,
        ...processKeys(given),
        ...networkKeys(given),
        ...networks.service,
        ...resourceKeys(given),
        volumes,
        tmpfs: given.tmpfs,
        devices: given.device,
        labels: given.label,
        annotations: given.annotation,
        platform: given.platform,
        restart: given.restart,
        logging: compact({ driver: given.logDriver, options: given.logOpt }),
        healthcheck: healthcheck(given),
      }),
    },
    ...(named.length === 0
      ? {}
      : { volumes: Object.fromEntries(named.map((key) => [key, { name: key }])) }),
    ...networks.file,
  };
}

function processKeys(given: RunOptions): ComposeValues {
  const { entrypoint, stopTimeout } = given;
  return {
    entrypoint: entrypoint === undefined || entrypoint === "" ? entrypoint : [entrypoint],
    environment: given.env,
    user: given.user,
    group_add: given.groupAdd,
    working_dir: given.workdir,
    stdin_open: given.interactive,
    tty: given.tty,
    init: given.init,
    read_only: given.readOnly,
    privileged: given.privileged,
    cap_add: given.capAdd,
    cap_drop: given.capDrop,
    security_opt: given.securityOpt,
    sysctls: given.sysctl,
    pid: given.pid,
    ipc: given.ipc,
    uts: given.uts,
    userns_mode: given.userns,
    cgroup: given.cgroupns,
    stop_signal: given.stopSignal,
    stop_grace_period: stopTimeout === undefined ? undefined : `${stopTimeout}s`,
  };
}

function networkKeys(given: RunOptions): ComposeValues {
  return {
    ports: given.publish,
    expose: given.expose,
    hostname: given.hostname,
    domainname: given.domainname,
    mac_address: given.macAddress,
    extra_hosts: given.addHost,
    dns: given.dns,
    dns_search: given.dnsSearch,
    dns_opt: given.dnsOption,
  };
}

function resourceKeys(given: RunOptions): ComposeValues {
  return {
    mem_limit: given.memory,
    mem_reservation: given.memoryReservation,
    memswap_limit: given.memorySwap,
    shm_size: given.shmSize,
    cpus: number(given.cpus),
    cpu_shares: number(given.cpuShares),
    cpuset: given.cpusetCpus,
    pids_limit: number(given.pidsLimit),
    oom_score_adj: number(given.oomScoreAdj),
    ulimits: Object.fromEntries((given.ulimit ?? []).map(ulimit)),
  };
}

function healthcheck(given: RunOptions): ComposeValues {
  if (given.healthcheck === false) return { disable: true };
  const { healthCmd } = given;
  return compact({
    test: healthCmd === undefined ? undefined : ["CMD-SHELL", healthCmd],
    interval: given.healthInterval,
    timeout: given.healthTimeout,
    start_period: given.healthStartPeriod,
    start_interval: given.healthStartInterval,
    retries: number(given.healthRetries),
  });
}

/** What is no number is the manifest's to refuse. */
function number(text: string | undefined): number | string | undefined {
  return text === undefined || text.trim() === "" || Number.isNaN(Number(text))
    ? text
    : Number(text);
}

function ulimit(text: string): [string, unknown] {
  const [, name = text, soft = "", hard = soft] = /^([^=]*)=([^:]*)(?::(.*))?$/.exec(text) ?? [];
  return [name, { soft: number(soft), hard: number(hard) }];
}

/** Of `SOURCE:TARGET[:OPTIONS]`, `TARGET`, or the long form. */
function targetOf(mount: string | ComposeValues): unknown {
  if (typeof mount !== "string") return mount.target;
  const [first = "", target] = mount.split(":");
  return target ?? first;
}

function absolute(mount: string): string {
  if (!mount.startsWith(".")) return mount;
  const cut = mount.indexOf(":");
  return cut === -1 ? mount : `${resolve(mount.slice(0, cut))}${mount.slice(cut)}`;
}

/** The fields that `docker run --mount` knows, in Compose's long form; others are the manifest's to refuse. */
function longMount(text: string): ComposeValues {
  const pairs = text.split(",").map((field) => {
    const cut = field.indexOf("=");
    return cut === -1 ? ([field, "true"] as const) : [field.slice(0, cut), field.slice(cut + 1)];
  });
  const mount: Record<string, unknown> = { type: "volume" };
  const within: Record<string, Record<string, unknown>> = {};
  const put = (part: string, key: string, value: unknown): void => {
    within[part] = { ...within[part], [key]: value };
  };
  for (const [key = "", value = ""] of pairs) {
    if (key === "source" || key === "src") mount.source = value;
    else if (key === "target" || key === "dst" || key === "destination") mount.target = value;
    else if (key === "readonly" || key === "ro")
      mount.read_only = value !== "false" && value !== "0";
    else if (key === "bind-propagation") put("bind", "propagation", value);
    else if (key === "volume-nocopy") put("volume", "nocopy", value !== "false");
    else if (key === "volume-subpath") put("volume", "subpath", value);
    else if (key === "tmpfs-size") put("tmpfs", "size", number(value));
    else if (key === "tmpfs-mode") put("tmpfs", "mode", Number.parseInt(value, 8));
    else mount[key] = value;
  }
  const { source } = mount;
  if (mount.type === "bind" && typeof source === "string") mount.source = resolve(source);
  return { ...mount, ...within };
}

function volumeName(mount: string | ComposeValues): readonly string[] {
  if (typeof mount !== "string") {
    const { type, source } = mount;
    return type === "volume" && typeof source === "string" ? [source] : [];
  }
  const [source = "", target] = mount.split(":");
  return target === undefined || source.startsWith("/") ? [] : [source];
}
