import type { Service } from "../desired-state.ts";
import type { Report } from "../diagnostics.ts";
import { suggestion } from "../nearest-name.ts";
import { locate, locateKey, locateName, type Path } from "../yaml/node.ts";
import { placeInList } from "./check-model.ts";
import type { MountWish } from "./mount-wish.ts";
import type { FileModel } from "./read-file.ts";
import type { ServiceModel } from "./service-model.ts";

type ServiceCheck = {
  readonly service: Service;
  readonly file: FileModel;
  readonly report: Report;
};

/** Volumes are declared, targets are taken once, anonymous volumes have one owner. */
export function checkMounts({
  service,
  model,
  file,
  report,
}: ServiceCheck & { readonly model: ServiceModel }): void {
  const base: Path = ["services", service.name];
  const targets = new Set<string>();
  const wishes = (["volumes", "tmpfs"] as const).flatMap((field) => {
    const list = model[field] ?? [];
    return list.map((wish, index): readonly [MountWish, Path, string] => {
      const place = placeInList(list, index);
      return [wish, [...base, field, place], `${field}[${place}]`];
    });
  });
  for (const [wish, path, field] of wishes) {
    const at = locate(file.root, path);
    const place = `services.${service.name}.${field}`;
    if (targets.has(wish.target))
      report.error(at, `${place}: another mount of the service is already at ${wish.target}`);
    targets.add(wish.target);
    if (wish.type !== "volume") continue;
    if (wish.source === undefined && service.replicas > 1)
      report.error(
        at,
        `not supported by berth: ${place}: an anonymous volume with ${service.replicas} replicas: name the volume`,
      );
    if (wish.source !== undefined && !file.volumes.has(wish.source))
      report.error(
        at,
        `${place}: the volume "${wish.source}" is not declared in volumes` +
          suggestion(wish.source, file.volumes.keys()),
      );
  }
}

/** This version has one network for each app. */
export function checkNetworks({ service, file, report }: ServiceCheck): void {
  for (const key of Object.keys(service.networks)) {
    if (key === "default") continue;
    const at = locateName(file.root, ["services", service.name, "networks"], key);
    report.error(
      at,
      `not supported by berth: services.${service.name}.networks: the network "${key}": ` +
        "use the network default, which joins all services of an app",
    );
  }
}

/** Replicas cannot publish the same host port. */
export function checkReplicas({ service, file, report }: ServiceCheck): void {
  const [port] = service.ports;
  if (service.replicas < 2 || port === undefined) return;
  report.error(
    locateKey(file.root, ["services", service.name, "ports"]),
    `services.${service.name}.ports: ${service.replicas} replicas cannot share the host port ` +
      `${port.hostPort}: publish it from a service with one replica`,
  );
}
