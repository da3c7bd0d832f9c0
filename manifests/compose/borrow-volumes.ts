import type { Dependency, Service, ServiceMount } from "../desired-state.ts";
import { suggestion } from "../nearest-name.ts";
import { locate, type Path } from "../yaml/node.ts";
import type { FileModel } from "./read-file.ts";
import type { ServiceStage } from "./service-stage.ts";

const waitsFor: Dependency = { condition: "service_started", required: true, restart: false };

/**
 * `volumes_from`: what another service mounts is mounted here, too, unless something else is at its target. The
 * other one starts first. What it borrows itself comes along.
 */
export function borrowVolumes({ services, file, report }: ServiceStage): readonly Service[] {
  const byName = new Map(services.map((service) => [service.name, service]));
  const done = new Map<string, readonly ServiceMount[]>();

  function mountsOf(service: Service): readonly ServiceMount[] {
    const known = done.get(service.name);
    if (known !== undefined) return known;
    // Who comes here again borrows from itself: the dependencies report the circle.
    done.set(service.name, service.mounts);
    const mounts = [...service.mounts];
    for (const { service: name, readOnly } of wishesOf(file, service)) {
      const lender = byName.get(name);
      for (const mount of lender === undefined ? [] : mountsOf(lender)) {
        // Secrets and configs are granted by name, not lent.
        if (mount.type === "secret") continue;
        if (mounts.some(({ target }) => target === mount.target)) continue;
        const isReadOnly = mount.type !== "tree" && (mount.readOnly || readOnly);
        mounts.push(mount.type === "tree" ? mount : { ...mount, readOnly: isReadOnly });
      }
    }
    done.set(service.name, mounts);
    return mounts;
  }

  return services.map((service) => {
    const dependsOn: Record<string, Dependency> = {};
    for (const [index, { service: name }] of wishesOf(file, service).entries()) {
      const path: Path = ["services", service.name, "volumes_from", index];
      if (byName.has(name)) dependsOn[name] = waitsFor;
      else if (!file.services.has(name) || file.services.get(name) !== undefined)
        report.error(
          locate(file.root, path),
          `services.${service.name}.volumes_from[${index}]: there is no service "${name}"` +
            suggestion(name, byName.keys()),
        );
    }
    return {
      ...service,
      mounts: mountsOf(service),
      dependsOn: { ...dependsOn, ...service.dependsOn },
    };
  });
}

function wishesOf(file: FileModel, { name }: Service) {
  return file.services.get(name)?.volumes_from ?? [];
}
