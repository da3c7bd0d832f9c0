import type { App, Service } from "../desired-state.ts";
import type { Report } from "../diagnostics.ts";
import { anonymousVolume, buildService, labelsOf } from "./build-service.ts";
import { checkDependencies } from "./check-dependencies.ts";
import { checkMounts, checkNetworks, checkReplicas } from "./check-services.ts";
import type { ServiceFiles } from "./env-files.ts";
import { linkServices } from "./links.ts";
import type { MountedTrees } from "./mounted-trees.ts";
import type { FileModel } from "./read-file.ts";
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
      report,
    });
    checkMounts({ service, model, file, report });
    checkNetworks({ service, file, report });
    checkReplicas({ service, file, report });
    services.push(service);
  }
  const linked = checkDependencies({ services: linkServices({ services, file }), file, report });
  return {
    name,
    path,
    services: linked.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    volumes: volumesOf({ name, file, services }),
    networks: networksOf({ name, file, services }),
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
      const fallback = mount.volume === own.key ? own.suffix : mount.volume;
      const external = model?.external === true;
      volumes.set(mount.volume, {
        name: model?.name ?? (external ? mount.volume : `${name}_${fallback}`),
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
  for (const key of services.flatMap((service) => Object.keys(service.networks))) {
    const model = file.networks.get(key);
    networks.set(key, {
      name: model?.name ?? `${name}_${key}`,
      internal: model?.internal ?? false,
      labels: labelsOf(model?.labels),
    });
  }
  return sortedRecord(networks);
}

function sortedRecord<Value>(values: ReadonlyMap<string, Value>): Readonly<Record<string, Value>> {
  return Object.fromEntries([...values].sort(([a], [b]) => (a < b ? -1 : 1)));
}
