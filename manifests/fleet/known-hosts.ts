import { selectsHost } from "./host-selector.ts";
import type { Fleet } from "./read-fleet.ts";

/** Hosts of which `berth.yaml` speaks: those in `hosts`, else those that apps name. Sorted. */
export function knownHosts({ model }: Fleet): readonly string[] {
  if (model.hosts !== undefined) return [...model.hosts.keys()].sort();
  const selectors = [...model.apps.values(), model.defaults].flatMap((app) => app?.hosts ?? []);
  const named = selectors.flatMap((selector) => (selector.kind === "name" ? [selector.name] : []));
  const layered = [...model.apps.values()].flatMap(({ byHost }) => [...(byHost?.keys() ?? [])]);
  return [...new Set([...named, ...layered])].sort();
}

export function runsOn({
  fleet: { model },
  name,
  host,
}: {
  readonly fleet: Fleet;
  readonly name: string;
  readonly host: string;
}): boolean {
  const selectors = model.apps.get(name)?.hosts ?? model.defaults?.hosts;
  return (
    selectors === undefined ||
    selectsHost(selectors, { name: host, labels: model.hosts?.get(host)?.labels ?? new Map() })
  );
}

/** The directory of an app: its own name where `path` is not written. */
export function pathOf({ model }: Fleet, name: string): string {
  return model.apps.get(name)?.path ?? name;
}
