import type { Dependency, Service } from "../desired-state.ts";
import type { Report } from "../diagnostics.ts";
import { suggestion } from "../nearest-name.ts";
import { locate, locateName, nodeAt, type Path, type Position } from "../yaml/node.ts";
import type { FileModel } from "./read-file.ts";
import type { ServiceStage } from "./service-stage.ts";

/**
 * Checks that dependencies exist, can be met and form no cycle. Returns the services without
 * the dependencies that are not required and not there.
 */
export function checkDependencies({ services, file, report }: ServiceStage): readonly Service[] {
  const byName = new Map(services.map((service) => [service.name, service]));
  const linked = services.map((service) => {
    const kept = Object.entries(service.dependsOn).filter(([name, dependency]) =>
      checkDependency({ service, name, dependency, byName, file, report }),
    );
    return { ...service, dependsOn: Object.fromEntries(kept) };
  });
  reportCycles({ services: linked, file, report });
  return linked;
}

/** False when the dependency is to be dropped. */
function checkDependency({
  service,
  name,
  dependency,
  byName,
  file,
  report,
}: {
  readonly service: Service;
  readonly name: string;
  readonly dependency: Dependency;
  readonly byName: ReadonlyMap<string, Service>;
  readonly file: FileModel;
  readonly report: Report;
}): boolean {
  const at = dependencyPosition(file, service.name, name);
  const place = `services.${service.name}.depends_on`;
  const target = byName.get(name);
  const isKnown = file.services.has(name);
  const isWrong = isKnown && file.services.get(name) === undefined;
  if (target === undefined && !isWrong) {
    const what = isKnown
      ? `the service "${name}" does not run here, by its profiles or constraints`
      : `there is no service "${name}"`;
    const hint = isKnown ? "" : suggestion(name, file.services.keys());
    if (dependency.required) report.error(at, `${place}: ${what}${hint}`);
    else report.warn(at, `${place}: ${what}, so nothing waits for it`);
    return false;
  }
  if (target === undefined || dependency.condition !== "service_healthy") return true;
  if (target.healthcheck?.test[0] === "NONE")
    report.error(at, `${place}: "${name}" can never be healthy: its healthcheck is switched off`);
  else if ((target.healthcheck?.test.length ?? 0) === 0)
    report.warn(
      at,
      `${place}: "${name}" has no healthcheck of its own: without one in its image it never gets healthy`,
    );
  return true;
}

/** Depth first; each cycle is reported once, where its first edge found closes it. */
function reportCycles({ services, file, report }: ServiceStage): void {
  const byName = new Map(services.map((service) => [service.name, service]));
  const finished = new Set<string>();
  for (const { name: start } of services) {
    const trail: string[] = [];
    const pending: (readonly string[])[] = [[start]];
    const cursors: number[] = [0];
    while (pending.length > 0) {
      const depth = pending.length - 1;
      const name = pending[depth]?.[cursors[depth] ?? 0];
      if (name === undefined) {
        pending.pop();
        cursors.pop();
        const left = trail.pop();
        if (left !== undefined) finished.add(left);
        continue;
      }
      cursors[depth] = (cursors[depth] ?? 0) + 1;
      if (finished.has(name)) continue;
      const seen = trail.indexOf(name);
      if (seen !== -1) {
        const cycle = [...trail.slice(seen), name];
        const from = trail.at(-1) ?? name;
        report.error(
          dependencyPosition(file, from, name),
          `services.${from}.depends_on: the dependencies go round in a circle: ${cycle.join(" -> ")}`,
        );
        continue;
      }
      trail.push(name);
      pending.push(Object.keys(byName.get(name)?.dependsOn ?? {}));
      cursors.push(0);
    }
  }
}

/** Where the dependency is written: in depends_on, or as a link. */
function dependencyPosition(file: FileModel, service: string, name: string): Position {
  const path: Path = ["services", service];
  const links = file.services.get(service)?.links ?? [];
  const link = links.findIndex(({ service: target }) => target === name);
  if (link === -1 || nodeAt(file.root, [...path, "depends_on", name]) !== undefined)
    return locateName(file.root, [...path, "depends_on"], name);
  return locate(file.root, [...path, "links", link]);
}
