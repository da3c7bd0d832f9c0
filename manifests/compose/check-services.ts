import type { Service } from "../desired-state.ts";
import type { Report } from "../diagnostics.ts";
import { suggestion } from "../nearest-name.ts";
import { locate, locateKey, locateName, type Path } from "../yaml/node.ts";
import { placeInList } from "./check-model.ts";
import { containsAddress } from "./ipv4-subnet.ts";
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

/** Networks are declared; who has an address of its own is one container, and the network has room for it. */
export function checkNetworks({ service, file, report }: ServiceCheck): void {
  for (const key of Object.keys(service.networks)) {
    const path: Path = ["services", service.name, "networks"];
    const place = `services.${service.name}.networks`;
    if (key !== "default" && !file.networks.has(key)) {
      const hint = suggestion(key, [...file.networks.keys(), "default"]);
      const message = `${place}: the network "${key}" is not declared in networks${hint}`;
      report.error(locateName(file.root, path, key), message);
      continue;
    }
    const { ipv4Address, macAddress } = service.endpoints?.[key] ?? {};
    const field = ipv4Address === undefined ? "mac_address" : "ipv4_address";
    if ((ipv4Address ?? macAddress) === undefined) continue;
    const at = locateKey(file.root, [...path, key, field]);
    if (service.replicas > 1)
      report.error(at, `${place}.${key}.${field}: ${service.replicas} replicas cannot share it`);
    const network = file.networks.get(key);
    const subnet = network?.ipam?.subnet;
    if (ipv4Address === undefined || network?.external?.isExternal === true) continue;
    if (subnet === undefined)
      report.error(
        at,
        `${place}.${key}.${field}: the network has no subnet of its own: set networks.${key}.ipam.config`,
      );
    else if (!containsAddress(subnet, ipv4Address))
      report.error(at, `${place}.${key}.${field}: ${ipv4Address} does not lie in ${subnet}`);
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
