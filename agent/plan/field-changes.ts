import type { ContainerSpec } from "../../runtime/container-spec.ts";
import { userLabels } from "../container-labels.ts";
import type { FieldChange } from "../control/control.ts";

type Comparable = Omit<ContainerSpec, "id"> & { readonly id?: string };

/** The fields in which two specs differ, each as a path (`environment.PORT`, `image.digest`), sorted. */
export function specChanges(from: Comparable, to: Comparable): FieldChange[] {
  const changes: FieldChange[] = [];
  collect(changes, "", comparable(from), comparable(to));
  return changes.sort((a, b) => (a.field < b.field ? -1 : 1));
}

function comparable(spec: Comparable): Record<string, unknown> {
  const { ports, mounts, labels, id: _id, name: _name, ...rest } = spec;
  return {
    ...rest,
    labels: userLabels(labels),
    ports: Object.fromEntries(
      ports.map((port) => [`${port.hostIp}:${port.hostPort}/${port.protocol}`, port.containerPort]),
    ),
    mounts: Object.fromEntries(mounts.map((mount) => [mount.target, mount])),
  };
}

function collect(changes: FieldChange[], path: string, from: unknown, to: unknown): void {
  if (isRecord(from) && isRecord(to)) {
    for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
      collect(changes, path === "" ? key : `${path}.${key}`, from[key], to[key]);
    }
    return;
  }
  if (JSON.stringify(from) !== JSON.stringify(to)) {
    changes.push({ field: path, from: from ?? null, to: to ?? null });
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
