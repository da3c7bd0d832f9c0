import { resolve } from "node:path";
import { type ComposeValues, compact } from "../manifests/convert/conversion.ts";

export type RunOptions = {
  readonly publish?: readonly string[];
  readonly volume?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly label?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workdir?: string;
  readonly hostname?: string;
  readonly entrypoint?: string;
  readonly restart: string;
  readonly memory?: string;
  readonly cpus?: string;
  readonly pidsLimit?: string;
  readonly readOnly?: boolean;
  readonly init?: boolean;
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly network?: string;
  readonly healthCmd?: string;
  readonly healthInterval?: string;
  readonly healthRetries?: string;
  readonly stopSignal?: string;
};

/** Pure, but for the directory that relative paths of the host are resolved from. The values of a Compose file. */
export function runCompose(options: {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly given: RunOptions;
}): ComposeValues {
  const { name, image, command, given } = options;
  const volumes = (given.volume ?? []).map(absolute);
  const named = volumes
    .map((mount) => mount.split(":"))
    .flatMap(([source = "", target]) =>
      target === undefined || source.startsWith("/") ? [] : [source],
    );
  const isMode = given.network === "host" || given.network === "none";
  const isExternal = given.network !== undefined && !isMode;
  return {
    name,
    services: {
      [name]: compact({
        image,
        container_name: name,
        command,
        entrypoint: given.entrypoint === undefined ? undefined : [given.entrypoint],
        environment: given.env,
        labels: given.label,
        ports: given.publish,
        volumes,
        tmpfs: given.tmpfs,
        user: given.user,
        working_dir: given.workdir,
        hostname: given.hostname,
        restart: given.restart,
        mem_limit: given.memory,
        cpus: given.cpus === undefined ? undefined : Number(given.cpus),
        pids_limit: given.pidsLimit === undefined ? undefined : Number(given.pidsLimit),
        read_only: given.readOnly,
        init: given.init,
        cap_add: given.capAdd,
        cap_drop: given.capDrop,
        network_mode: isMode ? given.network : undefined,
        stop_signal: given.stopSignal,
        healthcheck: healthcheck(given),
      }),
    },
    ...(named.length === 0
      ? {}
      : { volumes: Object.fromEntries(named.map((key) => [key, { name: key }])) }),
    ...(isExternal ? { networks: { default: { name: given.network, external: true } } } : {}),
  };
}

function healthcheck({ healthCmd, healthInterval, healthRetries }: RunOptions): ComposeValues {
  return compact({
    test: healthCmd === undefined ? undefined : ["CMD-SHELL", healthCmd],
    interval: healthInterval,
    retries: healthRetries === undefined ? undefined : Number(healthRetries),
  });
}

function absolute(mount: string): string {
  if (!mount.startsWith(".")) return mount;
  const cut = mount.indexOf(":");
  return cut === -1 ? mount : `${resolve(mount.slice(0, cut))}${mount.slice(cut)}`;
}
