import { existsSync, mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { detectCgroups } from "./cgroups/cgroup-host.ts";
import { cgroupUsage } from "./cgroups/cgroup-usage.ts";
import { makeParentCgroup, moveToCgroup, removeCgroup } from "./cgroups/container-cgroup.ts";
import { writeLimits } from "./cgroups/limit-drift.ts";
import { findStrays } from "./cgroups/stray-cgroups.ts";
import { refuseUnknownSupervisors } from "./containers/adopt-containers.ts";
import { readChanges } from "./containers/container-changes.ts";
import type { ContainerContext } from "./containers/container-context.ts";
import {
  cgroupPathOf,
  pathsOf,
  stagingDirOf,
  supervisorOf,
  supervisorsCgroupOf,
} from "./containers/container-context.ts";
import { dialInContainer } from "./containers/container-dial.ts";
import { execProcess } from "./containers/container-exec.ts";
import { commitContainer, exportContainer } from "./containers/container-image.ts";
import { readLog } from "./containers/container-logs.ts";
import { outOfMemoryKills } from "./containers/container-watch.ts";
import { Containers } from "./containers/containers.ts";
import { openConnections } from "./containers/hand-over.ts";
import { HeldBack } from "./containers/held-back.ts";
import { IdLeases } from "./containers/id-leases.ts";
import { InnerDrift } from "./containers/inner-drift.ts";
import { InterfaceDrift } from "./containers/interface-drift.ts";
import { Inventory } from "./containers/inventory.ts";
import { OuterDrift } from "./containers/outer-drift.ts";
import { Volumes } from "./containers/volumes.ts";
import { hostFeatures } from "./doctor.ts";
import { helperPath } from "./helper/helper-path.ts";
import { Launcher } from "./helper/launcher.ts";
import { LayerUnpacker } from "./helper/layer-unpacker.ts";
import { attachToContainer } from "./helper/supervisor-session.ts";
import { openImageStore } from "./images/open-image-store.ts";
import { openNetworks } from "./network/networks.ts";
import type { KernelDrift, Observation, ObserveOptions, Runtime } from "./runtime.ts";
import type { RuntimeOptions } from "./runtime-options.ts";

const destroyGraceMs = 10_000;

/**
 * Opens the runtime of one instance and adopts what an earlier process left running. Throws when the helper is not
 * built or the host lacks a feature that nothing works without.
 */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const context = await openContext(options);
  const containers = new Containers(context);
  await containers.adopt();
  const known = new Set([...context.inventory.all()].map(({ spec }) => spec.id));
  for (const { id, path } of findStrays(context.cgroups, { parent: context.cgroupParent, known })) {
    options.log.warn("a container runs that this data directory knows nothing of", { id, path });
  }
  return runtimeOf(options, context, containers);
}

async function openContext(options: RuntimeOptions): Promise<ContainerContext> {
  if (!existsSync(helperPath)) {
    throw new Error(`cannot start containers because ${helperPath} is missing: run "make"`);
  }
  for (const dir of [options.libDir, options.runDir])
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  const inventory = new Inventory(options.live);
  await refuseUnknownSupervisors({ ...options, inventory });
  const cgroups = detectCgroups();
  const cgroupParent = `/${options.instance}`;
  makeParentCgroup(cgroups, cgroupParent);
  const launcher = new Launcher({
    helperPath: options.helperPath ?? helperPath,
    log: options.log,
    // What the launcher forks begins where it is: supervisors stay out of the agent's cgroup.
    onSpawn: (pid) => moveToCgroup(cgroups, supervisorsCgroupOf({ cgroupParent }), pid),
  });
  await launcher.open();
  const unpacker = new LayerUnpacker(launcher, options.runDir);
  const { libDir, runDir, state, log, now } = options;
  const context: ContainerContext = {
    libDir,
    runDir,
    cgroupParent,
    cgroups,
    launcher,
    log,
    now,
    admitBind: options.admitBind ?? (() => true),
    secretContent:
      options.secretContent ?? (() => Promise.reject(new Error("there are no secrets"))),
    inventory,
    heldBack: new HeldBack(options.live),
    idLeases: new IdLeases(state, `${options.instance}\0${libDir}`),
    images: await openImageStore({ ...options, unpacker }),
    networks: await openNetworks({ ...options, transact: (request) => launcher.netlink(request) }),
    volumes: new Volumes({ libDir, state, now, removeTree: (path) => launcher.removeTree(path) }),
  };
  await context.volumes.finishRemovals();
  await context.volumes.removeSeeds().catch((error: unknown) => {
    log.warn("leftover of a volume's first filling stays", { error: String(error) });
  });
  mkdirSync(stagingDirOf(context), { recursive: true, mode: 0o700 });
  return context;
}

function runtimeOf(
  options: RuntimeOptions,
  context: ContainerContext,
  containers: Containers,
): Runtime {
  const inner = new InnerDrift(context);
  const outer = new OuterDrift(context, containers.hosts);
  const interfaces = new InterfaceDrift(context);
  const looks = { context, containers, inner, outer, interfaces };
  const { networks, volumes, launcher, images, inventory } = context;
  return {
    images,
    cgroups: context.cgroups,
    features: () => hostFeatures({ libDir: options.libDir }),
    observe: (observe = {}) => observeHost(looks, observe),
    createContainer: (spec, create) => containers.create(spec, create),
    handOver: (pair) => containers.handOver(pair),
    openConnections: (id) => openConnections(context, id),
    startContainer: (id) => containers.start(id),
    runContainer: (id, owner) => containers.run(id, owner),
    stopContainer: (id, stop) => containers.stop(id, stop),
    signalContainer: (id, signal) => containers.signal(id, signal),
    reloadContainer: (id, reload) => containers.reload(id, reload),
    pauseContainer: async (id) => containers.freeze(id, true),
    unpauseContainer: async (id) => containers.freeze(id, false),
    exportContainer: (id, options) => exportContainer({ context, containers }, id, options),
    commitContainer: (id, options) => commitContainer({ context, containers }, id, options),
    removeContainer: (id) => containers.remove(id),
    changes: (id) => readChanges(context, id),
    copy: (id, copy) => containers.copies.copy(id, copy),
    dial: (id, dial, options) => dialInContainer(context, id, dial, options),
    exec: (id, exec, options) => execProcess(context, id, exec, options),
    attach: (id, attach) => attachToContainer(supervisorOf(context, id), attach),
    logs: (id, logs) => {
      inventory.require(id);
      return readLog(pathsOf(context, id).log, { ...logs, ended: containers.ended(id) });
    },
    outOfMemoryKills: async (id) => outOfMemoryKills(context, id),
    usage: async (id) => cgroupUsage(context.cgroups, cgroupPathOf(context, id)),
    processes: async (id) => containers.processes(id),
    ensureNetwork: (spec) => networks.ensureNetwork(spec),
    removeNetwork: (name) => networks.removeNetwork(name),
    ensureVolume: async (spec) => volumes.ensure(spec),
    removeVolume: (name) => volumes.remove(name, volumeUsers(context).get(name) ?? []),
    repair: (drift) => repair(looks, drift),
    onExit: (listener) => containers.onExit(listener),
    notify: (socketPath, message) => launcher.notify(socketPath, message),
    close: async () => {
      await containers.close();
      await launcher.close();
    },
    destroy: (destroy) => destroyInstance(context, containers, destroy),
  };
}

type Looks = {
  readonly context: ContainerContext;
  readonly containers: Containers;
  readonly inner: InnerDrift;
  readonly outer: OuterDrift;
  readonly interfaces: InterfaceDrift;
};

async function observeHost(looks: Looks, options: ObserveOptions): Promise<Observation> {
  const { context, containers, inner, outer, interfaces } = looks;
  const seen = await context.networks.observe();
  const known = () => containers.statuses(seen.publishedPorts, { drift: "known" });
  const before = options.drift === "known" ? [] : known();
  await Promise.all([
    interfaces.look(before, known, options),
    outer.look(before, options),
    inner.look(before, context.now(), options),
  ]);
  const statuses = containers.statuses(seen.publishedPorts, options, (id) => outer.isAsRead(id));
  return {
    containers: statuses,
    networks: seen.networks,
    volumes: context.volumes.list(volumeUsers(context)),
    drift: [
      ...seen.drift,
      ...interfaces.known(statuses),
      ...outer.observe(statuses, options),
      ...inner.observe(statuses, context.now(), options),
    ],
  };
}

async function repair(
  { context, containers, outer, interfaces }: Looks,
  drift: readonly KernelDrift[],
): Promise<void> {
  await context.networks.repair(drift.filter(({ kind }) => ofNetworks.has(kind)));
  const containersOf = (wanted: KernelDrift["kind"]) =>
    new Set(drift.flatMap(({ kind, container = "" }) => (kind === wanted ? [container] : [])));
  for (const id of containersOf("interface-changed")) interfaces.forget(id);
  for (const id of containersOf("limit-changed")) {
    const { spec } = context.inventory.require(id);
    writeLimits(context.cgroups, cgroupPathOf(context, id), spec);
    outer.forget(id);
  }
  for (const id of containersOf("file-changed")) {
    containers.hosts.repair(context.inventory.require(id).spec);
    outer.forget(id);
  }
}

const ofNetworks: ReadonlySet<KernelDrift["kind"]> = new Set([
  "port-missing",
  "port-foreign",
  "table-missing",
  "bridge-missing",
  "interface-changed",
]);

function volumeUsers(context: ContainerContext): ReadonlyMap<string, readonly string[]> {
  const users = new Map<string, string[]>();
  for (const { spec } of context.inventory.all()) {
    for (const mount of spec.mounts) {
      if (mount.type !== "volume") continue;
      users.set(mount.volume, [...(users.get(mount.volume) ?? []), spec.id]);
    }
  }
  return users;
}

async function destroyInstance(
  context: ContainerContext,
  containers: Containers,
  options: { readonly volumes: boolean; readonly abort: AbortSignal },
): Promise<void> {
  const ids = [...context.inventory.all()].map(({ spec }) => spec.id);
  await Promise.all(
    ids.map(async (id) => {
      await containers.stop(id, { graceMs: destroyGraceMs, abort: options.abort });
      await containers.remove(id);
    }),
  );
  if (options.volumes) {
    for (const { name } of context.volumes.list(new Map())) await context.volumes.remove(name, []);
  }
  await context.networks.destroy();
  await containers.close();
  await context.launcher.close();
  for (const path of [supervisorsCgroupOf(context), context.cgroupParent]) {
    await removeEmptyCgroup(context, path);
  }
  await rm(stagingDirOf(context), { recursive: true, force: true });
}

/** A process that has just ended may still be counted for some milliseconds. */
async function removeEmptyCgroup(context: ContainerContext, path: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (removeCgroup(context.cgroups, path)) return;
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  context.log.warn("cgroup stays because processes are left in it", { path });
}
