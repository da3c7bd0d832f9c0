import type { Dependency, Service } from "../desired-state.ts";
import type { FileModel } from "./read-file.ts";

/**
 * `links` makes a service wait for another, and gives that one a further name on the networks that both are in.
 * A link that leads nowhere stays a dependency, which is reported as such.
 */
export function linkServices({
  services,
  file,
}: {
  readonly services: readonly Service[];
  readonly file: FileModel;
}): readonly Service[] {
  const byName = new Map(services.map((service) => [service.name, service]));
  for (const { name } of services) {
    for (const { service: target, alias } of file.services.get(name)?.links ?? []) {
      const source = byName.get(name);
      const linked = byName.get(target);
      if (source === undefined) continue;
      byName.set(name, { ...source, dependsOn: { [target]: linkDependency, ...source.dependsOn } });
      if (linked !== undefined && alias !== target && target !== name)
        byName.set(target, withAlias(linked, alias, Object.keys(source.networks)));
    }
  }
  return [...byName.values()];
}

const linkDependency: Dependency = { condition: "service_started", required: true, restart: true };

function withAlias(service: Service, alias: string, shared: readonly string[]): Service {
  const networks = Object.entries(service.networks).map(([key, aliases]) => [
    key,
    shared.includes(key) ? [...new Set([...aliases, alias])] : aliases,
  ]);
  return { ...service, networks: Object.fromEntries(networks) };
}
