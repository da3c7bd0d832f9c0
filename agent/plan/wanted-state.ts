import { createHash } from "node:crypto";
import { canonicalJson } from "../../manifests/canonical-json.ts";
import type { App, Service, ServiceMount } from "../../manifests/desired-state.ts";
import type { NamespaceWish, ServiceOptions } from "../../manifests/service-options.ts";
import type {
  ContainerSpec,
  Mount,
  NamespaceChoice,
  NamespaceChoices,
  NetworkAttachment,
} from "../../runtime/container-spec.ts";
import type { NetworkSpec, VolumeSpec } from "../../runtime/runtime.ts";
import { appLabel, containerLabels, withRevisionLabel } from "../container-labels.ts";
import type { EnforcedApp } from "../store/rollout-store.ts";

/** A container that should exist; its id is given when it is made. */
export type WantedContainer = {
  readonly name: string;
  readonly app: string;
  readonly replica: number;
  readonly service: Service;
  /** Over everything that decides how it runs; equal digests mean: leave it alone. */
  readonly specDigest: string;
  readonly spec: Omit<ContainerSpec, "id">;
};

export type WantedApp = {
  readonly name: string;
  readonly revision: string;
  /** It was taken back to this definition, by a verdict or by hand. */
  readonly isGoingBack?: boolean;
  readonly containers: readonly WantedContainer[];
  readonly networks: readonly NetworkSpec[];
  /** Those that the app owns. */
  readonly volumes: readonly VolumeSpec[];
  /** Names of volumes that others make: they must be there, and are never made or changed here. */
  readonly externalVolumes: readonly string[];
  /** Names of networks that others make. */
  readonly externalNetworks: readonly string[];
};

export type WantedState = { readonly apps: readonly WantedApp[] };

const logDefaults = { fileBytesMax: 10 * 1_048_576, filesMax: 3 };

/**
 * Expands an app into containers, networks and volumes of this host. Pure and a little costly: call it once per
 * app and revision. An image that is not resolved yet has the digest "".
 */
export function wantedApp(enforced: EnforcedApp): WantedApp {
  const { app, revision, images } = enforced;
  const declared = Object.values(app.volumes);
  const volumes = declared
    .filter(({ external }) => external !== true)
    .map(({ name, labels }) => ({ name, labels: { ...labels, [appLabel]: app.name } }));
  const externalVolumes = declared
    .filter(({ external }) => external === true)
    .map(({ name }) => name);
  const networks = Object.values(app.networks)
    .filter(({ external }) => external !== true)
    .map(({ name, internal, labels, addresses }) => ({
      name,
      internal,
      labels: { ...labels, [appLabel]: app.name },
      ...(addresses === undefined ? {} : { ipam: addresses }),
    }));
  const externalNetworks = Object.values(app.networks)
    .filter(({ external }) => external === true)
    .map(({ name }) => name);
  const containers = app.services.flatMap((service) =>
    Array.from({ length: service.replicas }, (_, index) =>
      wantedContainer({
        app,
        service,
        replica: index + 1,
        revision,
        imageDigest: images[service.name] ?? "",
      }),
    ),
  );
  return {
    name: app.name,
    revision,
    containers,
    networks,
    volumes,
    externalVolumes,
    externalNetworks,
  };
}

/** What `wantedApp` makes of the same app in another revision, of what it made of this one. */
export function renamedApp(app: WantedApp, revision: string): WantedApp {
  const containers = app.containers.map((container) => {
    const { spec } = container;
    return { ...container, spec: { ...spec, labels: withRevisionLabel(spec.labels, revision) } };
  });
  return { ...app, revision, containers };
}

/** Digest of everything in a spec that decides how the container runs. Order of keys, ports and mounts is no part. */
function specDigest(spec: Omit<ContainerSpec, "id" | "labels"> & UserLabels): string {
  const { ports, mounts, ...rest } = spec;
  const canonical = canonicalJson({
    ...rest,
    ports: ports.map((port) => canonicalJson(port)).sort(),
    mounts: mounts.map((mount) => canonicalJson(mount)).sort(),
  });
  return createHash("sha256").update(canonical).digest("hex");
}

/** The digest that a wanted container would have if it mounted these. */
export function digestWithMounts(
  { service, spec }: Pick<WantedContainer, "service" | "spec">,
  mounts: readonly Mount[],
): string {
  return specDigest({ ...spec, mounts, labels: service.labels });
}

type UserLabels = { readonly labels: Readonly<Record<string, string>> };

function wantedContainer(options: {
  readonly app: App;
  readonly service: Service;
  readonly replica: number;
  readonly revision: string;
  readonly imageDigest: string;
}): WantedContainer {
  const { app, service, replica, revision, imageDigest } = options;
  const name = containerName(app, service, replica);
  const decisive = {
    name,
    labels: service.labels,
    image: { reference: service.image, digest: imageDigest },
    ...processFields(service),
    environment: service.environment,
    mounts: service.mounts.map((mount) => runtimeMount(app, mount)),
    networks: attachments(app, service),
    ports: service.ports,
    resources: service.resources,
    readOnlyRoot: service.readOnlyRoot,
    init: service.init,
    tty: service.tty,
    stdinOpen: service.stdinOpen,
    log: { ...logDefaults, ...service.log },
    ...optionFields(app, service),
  };
  const digest = specDigest(decisive);
  const labels = {
    ...service.labels,
    ...containerLabels({
      app: app.name,
      service: service.name,
      replica,
      revision,
      specDigest: digest,
      dependsOn: Object.keys(service.dependsOn),
      stopGraceMs: service.stopGraceMs,
    }),
  };
  return {
    name,
    app: app.name,
    replica,
    service,
    specDigest: digest,
    spec: { ...decisive, labels },
  };
}

function processFields(service: Service) {
  const { entrypoint, command, user, workingDir, hostname, stopSignal } = service;
  return {
    ...(entrypoint === undefined ? {} : { entrypoint }),
    ...(command === undefined ? {} : { command }),
    ...(user === undefined ? {} : { user }),
    ...(workingDir === undefined ? {} : { workingDir }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(stopSignal === undefined ? {} : { stopSignal }),
  };
}

/** `APP-SERVICE-N`, unless the manifest names the container. */
function containerName(app: App, service: Service, replica: number): string {
  return service.containerName ?? `${app.name}-${service.name}-${replica}`;
}

/** Services are named by their first container. */
function optionFields(
  app: App,
  service: Service,
): Omit<ServiceOptions, "namespaces"> & {
  readonly namespaces?: NamespaceChoices;
} {
  const { namespaces, ...rest } = service.options ?? {};
  if (namespaces === undefined) return rest;
  const choice = (wish: NamespaceWish): NamespaceChoice => {
    if (wish === "host") return wish;
    const joined = app.services.find(({ name }) => name === wish.service);
    if (joined === undefined)
      throw new Error(`cannot join ${wish.service} because app ${app.name} does not have it`);
    return { container: containerName(app, joined, 1) };
  };
  const { pid, ipc, network, ...others } = namespaces;
  return {
    ...rest,
    namespaces: {
      ...others,
      ...(pid === undefined ? {} : { pid: choice(pid) }),
      ...(ipc === undefined ? {} : { ipc: choice(ipc) }),
      ...(network === undefined || network === "none" ? {} : { network: choice(network) }),
    },
  };
}

function runtimeMount(app: App, mount: ServiceMount): Mount {
  if (mount.type === "secret") {
    // The file as git has it is no part: encrypted anew, the same content is the same container.
    const { type, target, mode, uid, gid, digest = "" } = mount;
    return { type, secret: digest, target, mode, uid, gid };
  }
  if (mount.type !== "volume") return mount;
  const volume = app.volumes[mount.volume];
  if (volume === undefined) {
    throw new Error(`cannot mount ${mount.volume} because app ${app.name} does not declare it`);
  }
  return { ...mount, volume: volume.name };
}

function attachments(app: App, service: Service): NetworkAttachment[] {
  const own = service.containerName === undefined ? [] : [service.containerName];
  const rank = (key: string): readonly number[] => {
    const { gatewayPriority = 0, priority = 0 } = service.endpoints?.[key] ?? {};
    return [gatewayPriority, priority];
  };
  const keys = Object.keys(service.networks).sort((a, b) => {
    const [[gateA = 0, a2 = 0], [gateB = 0, b2 = 0]] = [rank(a), rank(b)];
    return gateB - gateA || b2 - a2 || (a < b ? -1 : 1);
  });
  return keys.map((key) => {
    const network = app.networks[key];
    if (network === undefined) {
      throw new Error(`cannot join ${key} because app ${app.name} does not declare that network`);
    }
    const { ipv4Address, macAddress } = service.endpoints?.[key] ?? {};
    const aliases = [...new Set([service.name, ...own, ...(service.networks[key] ?? [])])].sort();
    return {
      network: network.name,
      aliases,
      ...(ipv4Address === undefined ? {} : { ipv4Address }),
      ...(macAddress === undefined ? {} : { macAddress }),
    };
  });
}
