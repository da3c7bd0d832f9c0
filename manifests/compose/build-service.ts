import { createHash } from "node:crypto";
import type { Dependency, Service, ServiceMount } from "../desired-state.ts";
import type { Report } from "../diagnostics.ts";
import type { ServiceResources } from "../service-options.ts";
import { locateKey, type MappingNode, nodeAt } from "../yaml/node.ts";
import { agreed } from "./agreed.ts";
import { hasOwnNetwork, networksOf } from "./build-networks.ts";
import { blockIoOf, buildOptions, type Conflict, joinedServices } from "./build-options.ts";
import { replicasOf, restartOf, runOf } from "./build-run.ts";
import type { ServiceFiles } from "./env-files.ts";
import type { MountWish } from "./mount-wish.ts";
import { isRelativeBind, type MountedTrees } from "./mounted-trees.ts";
import { present } from "./present.ts";
import { extensionKey } from "./section.ts";
import type { ServiceModel } from "./service-model.ts";
import type { Lookup } from "./template.ts";

const stopGraceMsDefault = 10_000;

/**
 * One service of the desired state, with Compose's defaults. Reports fields that contradict
 * each other.
 */
export function buildService({
  name,
  model,
  root,
  files,
  lookup,
  trees,
  granted,
  report,
}: {
  readonly name: string;
  readonly model: ServiceModel;
  readonly root: MappingNode;
  /** What `env_file` and `label_file` hold. */
  readonly files: ServiceFiles | undefined;
  /** Values for variables that `environment` names without one. */
  readonly lookup: Lookup;
  readonly trees: MountedTrees;
  /** What its `configs` and `secrets` come to. */
  readonly granted: readonly ServiceMount[];
  readonly report: Report;
}): Service {
  const conflict = (field: string, message: string) =>
    report.error(
      locateKey(root, ["services", name, field]),
      `services.${name}.${field}: ${message}`,
    );
  const image = model.image ?? missingImage({ name, root, report });
  return {
    name,
    image,
    replicas: replicasOf(model, conflict),
    ...present("entrypoint", model.entrypoint),
    ...present("command", model.command),
    environment: {
      ...Object.fromEntries(files?.environment ?? []),
      ...resolveEnvironment(model.environment, lookup),
    },
    ...present("user", model.user),
    ...present("workingDir", model.working_dir),
    ...present("hostname", model.hostname),
    ports: (model.ports ?? []).flat(),
    mounts: [
      ...[...(model.volumes ?? []), ...(model.tmpfs ?? [])].map((wish) =>
        serviceMount({ service: name, wish, trees }),
      ),
      ...granted,
    ],
    ...(hasOwnNetwork(model, conflict) ? networksOf(model, conflict) : { networks: {} }),
    restart: restartOf(model, conflict),
    resources: resourcesOf(model, conflict),
    dependsOn: { ...joined(model), ...dependencies(model.depends_on) },
    ...present("stopSignal", model.stop_signal),
    stopGraceMs: model.stop_grace_period ?? stopGraceMsDefault,
    labels: { ...Object.fromEntries(files?.labels ?? []), ...labelsOf(model.labels) },
    readOnlyRoot: model.read_only ?? false,
    ...healthOf(model, conflict),
    ...onConfigChangeOf(model),
    ...present("bounds", model[extensionKey]?.bounds),
    ...present("canaryMs", canaryOf(model, conflict)),
    ...present("watchTagMs", watchTagOf(model, conflict)),
    ...optionsOf(model, conflict),
    ...runOf(model),
    init: model.init ?? false,
    tty: model.tty ?? false,
    stdinOpen: model.stdin_open ?? false,
  };
}

/**
 * Key and host name part of the anonymous volume that a service has at `target`: the same for
 * every revision.
 */
export function anonymousVolume(service: string, target: string): { key: string; suffix: string } {
  const digest = createHash("sha256").update(target).digest("hex").slice(0, 12);
  return { key: `${service}:${target}`, suffix: `${service}_${digest}` };
}

/** Free keys become own properties of an ordinary object, `__proto__` too. */
export function labelsOf(
  labels: ReadonlyMap<string, string | null> | undefined,
): Readonly<Record<string, string>> {
  return Object.fromEntries([...(labels ?? [])].map(([key, value]) => [key, value ?? ""]));
}

function missingImage({
  name,
  root,
  report,
}: {
  readonly name: string;
  readonly root: MappingNode;
  readonly report: Report;
}): string {
  const path = ["services", name];
  const node = nodeAt(root, path);
  const keys = node?.kind === "mapping" ? node.entries : new Map<string, unknown>();
  // Wrong in its place: that was reported there.
  if (keys.has("image")) return "";
  if (keys.has("build"))
    report.error(
      locateKey(root, [...path, "build"]),
      `not supported by berth: services.${name}.build: without an image: build it elsewhere, push it and name it in image`,
    );
  else if (!keys.has("provider"))
    report.error(locateKey(root, path), `services.${name}: image is missing`);
  return "";
}

function resolveEnvironment(
  environment: ReadonlyMap<string, string | null> | undefined,
  lookup: Lookup,
): Readonly<Record<string, string>> {
  const resolved: [string, string][] = [];
  for (const [key, value] of environment ?? []) {
    const text = value ?? lookup(key);
    if (text !== undefined) resolved.push([key, text]);
  }
  return Object.fromEntries(resolved);
}

function serviceMount({
  service,
  wish,
  trees,
}: {
  readonly service: string;
  readonly wish: MountWish;
  readonly trees: MountedTrees;
}): ServiceMount {
  if (isRelativeBind(wish))
    return { type: "tree", tree: trees.get(wish.source) ?? "", target: wish.target };
  if (wish.type !== "volume") return wish;
  const { source, ...mount } = wish;
  return { ...mount, volume: source ?? anonymousVolume(service, mount.target).key };
}

function dependencies(dependsOn: ServiceModel["depends_on"]): Readonly<Record<string, Dependency>> {
  if (dependsOn === undefined) return {};
  if (!Array.isArray(dependsOn)) return Object.fromEntries(dependsOn);
  const started = { condition: "service_started", required: true, restart: false } as const;
  return Object.fromEntries(dependsOn.map((name) => [name, started]));
}

function healthOf(
  model: ServiceModel,
  conflict: Conflict,
): Pick<Service, "healthcheck" | "onUnhealthy"> {
  const { probe, "on-unhealthy": onUnhealthy } = model[extensionKey] ?? {};
  if (probe !== undefined && model.healthcheck !== undefined) {
    conflict("healthcheck", "x-berth.probe is there too, and decides the same: keep one of them");
  }
  return {
    ...present("healthcheck", probe ?? model.healthcheck),
    ...(onUnhealthy === "restart" ? { onUnhealthy } : {}),
  };
}

function onConfigChangeOf(model: ServiceModel): Pick<Service, "onConfigChange"> {
  const signal = model[extensionKey]?.["on-config-change"]?.signal;
  return signal === undefined ? {} : { onConfigChange: { signal } };
}

function canaryOf(model: ServiceModel, conflict: Conflict): number | undefined {
  const canaryMs = model[extensionKey]?.canary;
  if (canaryMs !== undefined && replicasOf(model, conflict) < 2)
    conflict(
      extensionKey,
      "canary lets one replica go first, and there is no other: set deploy.replicas to 2 or more",
    );
  return canaryMs;
}

function watchTagOf(model: ServiceModel, conflict: Conflict): number | undefined {
  const intervalMs = model[extensionKey]?.["watch-tag"];
  if (intervalMs === undefined) return undefined;
  if (model.image?.includes("@") === true)
    conflict(
      extensionKey,
      "watch-tag watches a tag, and a digest in image never moves: remove one",
    );
  if (model.pull_policy === "never")
    conflict(extensionKey, "watch-tag pulls what moved, and pull_policy is never: remove one");
  return intervalMs;
}

function optionsOf(model: ServiceModel, conflict: Conflict): Pick<Service, "options"> {
  const options = buildOptions(model, conflict);
  return Object.keys(options).length === 0 ? {} : { options };
}

/** Whose namespaces are joined has to run first, and a new one of it means a new start here. */
function joined(model: ServiceModel): Readonly<Record<string, Dependency>> {
  const dependency = { condition: "service_started", required: true, restart: true } as const;
  return Object.fromEntries(joinedServices(model).map(([, name]) => [name, dependency]));
}

/** 0, and -1 for pids, mean no limit. */
function resourcesOf(model: ServiceModel, conflict: Conflict): ServiceResources {
  const memory = agreed(model, "mem_limit", conflict);
  const reserved = agreed(model, "mem_reservation", conflict);
  const cpus = agreed(model, "cpus", conflict);
  const pids = agreed(model, "pids_limit", conflict);
  if (cpus && (model.cpu_quota !== undefined || model.cpu_period !== undefined))
    conflict("cpus", "it contradicts cpu_quota and cpu_period: keep one of them");
  if (
    model.memswap_limit &&
    model.memswap_limit !== -1 &&
    model.memswap_limit < (memory || Infinity)
  )
    conflict("memswap_limit", "it counts memory and swap: set mem_limit, to at most that");
  if (memory && reserved && reserved > memory)
    conflict(
      model.mem_reservation === undefined ? "deploy" : "mem_reservation",
      `the memory reservation of ${reserved} bytes is above the limit of ${memory}`,
    );
  return {
    ...present("memoryBytesMax", memory || undefined),
    ...present("memoryReservationBytes", reserved || undefined),
    ...present("cpus", cpus || undefined),
    ...present("pidsMax", pids === undefined ? undefined : pids <= 0 ? -1 : pids),
    ...present("memorySwapBytesMax", model.memswap_limit || undefined),
    ...present("memorySwappiness", model.mem_swappiness),
    ...present("cpuShares", model.cpu_shares ?? reservedShares(model)),
    ...present("cpuPeriodUs", model.cpu_period),
    ...present("cpuQuotaUs", model.cpu_quota),
    ...present("cpuset", model.cpuset),
    ...present("blockIo", blockIoOf(model)),
  };
}

/** CPUs that are reserved are a share of them when they are short, as a container without a share has 1024. */
function reservedShares(model: ServiceModel): number | undefined {
  const cpus = model.deploy?.resources?.reservations?.cpus;
  return cpus ? Math.min(Math.max(2, Math.round(cpus * 1024)), 262_144) : undefined;
}
