import type { Service, ServiceMount } from "../desired-state.ts";
import { locateKey } from "../yaml/node.ts";
import type { FileModel } from "./read-file.ts";
import type { ServiceStage } from "./service-stage.ts";

/**
 * A volume of the local driver with options is no directory of its own: a bind mount of its device, or a tmpfs,
 * which lives as long as the one container that has it.
 */
export function resolveVolumes({ services, file, report }: ServiceStage): readonly Service[] {
  checkTmpfsVolumes({ services, file, report });
  return services.map((service) => ({
    ...service,
    mounts: service.mounts.map((mount) => resolved(mount, file)),
  }));
}

function resolved(mount: ServiceMount, file: FileModel): ServiceMount {
  if (mount.type !== "volume") return mount;
  const source = file.volumes.get(mount.volume)?.driver_opts;
  if (source === undefined) return mount;
  const { target } = mount;
  const readOnly = mount.readOnly || source.readOnly;
  if (source.kind === "tmpfs") {
    const { kind: _kind, ...options } = source;
    return { type: "tmpfs", target, ...options, readOnly };
  }
  const path = mount.subpath === undefined ? source.path : `${source.path}/${mount.subpath}`;
  return { type: "bind", source: path, target, readOnly, createHostPath: false };
}

function checkTmpfsVolumes({ services, file, report }: ServiceStage): void {
  for (const [key, model] of file.volumes) {
    if (model?.driver_opts?.kind !== "tmpfs") continue;
    const users = services.filter(({ mounts }) =>
      mounts.some((mount) => mount.type === "volume" && mount.volume === key),
    );
    const containers = users.reduce((sum, { replicas }) => sum + replicas, 0);
    if (containers < 2) continue;
    report.error(
      locateKey(file.root, ["volumes", key, "driver_opts"]),
      `not supported by berth: volumes.${key}: a tmpfs that ${containers} containers share: use a volume without options`,
    );
  }
}
