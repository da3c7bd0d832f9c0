import type { App, NetworkAddresses, Service } from "../desired-state.ts";
import type { Report } from "../diagnostics.ts";
import { borrowVolumes } from "./borrow-volumes.ts";
import { anonymousVolume, buildService, labelsOf } from "./build-service.ts";
import { checkDependencies } from "./check-dependencies.ts";
import { checkMounts, checkNetworks, checkReplicas } from "./check-services.ts";
import type { ServiceFiles } from "./env-files.ts";
import { linkServices } from "./links.ts";
import type { MountedTrees } from "./mounted-trees.ts";
import type { FileModel } from "./read-file.ts";
import type { GrantedMounts } from "./read-grants.ts";
import { resolveVolumes } from "./resolve-volumes.ts";
import type { Lookup } from "./template.ts";

/**
 * The app that a checked file describes. Reports what only shows when its parts are seen
 * together: references that lead nowhere, cycles, contradictions. The result is of use only
 * when nothing was reported.
 */
export function buildApp({
  name,
  path,
  file,
  files,
  enabled,
  lookup,
  trees,
  granted,
  report,
}: {
  readonly name: string;
  readonly path: string;
  readonly file: FileModel;
  /** What the files hold that services name. */
  readonly files: ReadonlyMap<string, ServiceFiles>;
  /** Services that run on this host. */
  readonly enabled: ReadonlySet<string>;
  readonly lookup: Lookup;
  readonly trees: MountedTrees;
  readonly granted: GrantedMounts;
  readonly report: Report;
}): App {
  const services: Service[] = [];
  for (const [serviceName, model] of file.services) {
    if (model === undefined || !enabled.has(serviceName)) continue;
    const service = buildService({
      name: serviceName,
      model,
      root: file.root,
      files: files.get(serviceName),
      lookup,
      trees,
      granted: granted.get(serviceName) ?? [],
      report,
    });
    checkMounts({ service, model, file, report });
    checkNetworks({ service, file, report });
    checkReplicas({ service, file, report });
    services.push(service);
  }
  const mounted = borrowVolumes({ services, file, report });
  const joined = linkServices({ services: mounted, file });
  const linked = checkDependencies({ services: joined, file, report });
  return {
    name,
    path,
    services: resolveVolumes({ services: linked, file, report }).toSorted((a, b) =>
      a.name < b.name ? -1 : 1,
    ),
    volumes: volumesOf({ name, file, services: linked }),
    networks: networksOf({ name, file, services: linked }),
  };
}

/** Those that a service mounts: Compose does not make the others either. */
function volumesOf({
  name,
  file,
  services,
}: {
  readonly name: string;
  readonly file: FileModel;
  readonly services: readonly Service[];
}): App["volumes"] {
  const volumes = new Map<string, App["volumes"][string]>();
  for (const service of services) {
    for (const mount of service.mounts) {
      if (mount.type !== "volume") continue;
      const own = anonymousVolume(service.name, mount.target);
      const model = file.volumes.get(mount.volume);
      if (model?.driver_opts !== undefined) continue;
      const fallback = mount.volume === own.key ? own.suffix : mount.volume;
      const external = model?.external?.isExternal === true;
      const named = model?.name ?? model?.external?.name;
      volumes.set(mount.volume, {
        name: named ?? (external ? mount.volume : `${name}_${fallback}`),
        labels: labelsOf(model?.labels),
        ...(external ? { external } : {}),
      });
    }
  }
  return sortedRecord(volumes);
}

function networksOf({
  name,
  file,
  services,
}: {
  readonly name: string;
  readonly file: FileModel;
  readonly services: readonly Service[];
}): App["networks"] {
  const networks = new Map<string, App["networks"][string]>();
  const asked = addressesAsked(services);
  for (const key of new Set(services.flatMap((service) => Object.keys(service.networks)))) {
    const model = file.networks.get(key);
    const external = model?.external?.isExternal === true;
    const named = model?.name ?? model?.external?.name;
    const addresses = withReserved(model?.ipam, asked.get(key) ?? []);
    networks.set(key, {
      name: named ?? (external ? key : `${name}_${key}`),
      internal: model?.internal ?? false,
      labels: labelsOf(model?.labels),
      ...(external ? { external } : {}),
      ...(addresses === undefined ? {} : { addresses }),
    });
  }
  return sortedRecord(networks);
}

/** By network, the addresses that services ask for. */
function addressesAsked(services: readonly Service[]): ReadonlyMap<string, readonly string[]> {
  const asked = new Map<string, string[]>();
  for (const { endpoints } of services) {
    for (const [key, { ipv4Address }] of Object.entries(endpoints ?? {})) {
      if (ipv4Address === undefined) continue;
      const addresses = asked.get(key) ?? [];
      addresses.push(ipv4Address);
      asked.set(key, addresses);
    }
  }
  return asked;
}

/** Addresses that services ask for are kept free for them. */
function withReserved(
  addresses: NetworkAddresses | undefined,
  asked: readonly string[],
): NetworkAddresses | undefined {
  const reserved = [...new Set([...(addresses?.reserved ?? []), ...asked])].sort();
  if (addresses === undefined && reserved.length === 0) return undefined;
  return { ...addresses, ...(reserved.length === 0 ? {} : { reserved }) };
}

function sortedRecord<Value>(values: ReadonlyMap<string, Value>): Readonly<Record<string, Value>> {
  return Object.fromEntries([...values].sort(([a], [b]) => (a < b ? -1 : 1)));
}
