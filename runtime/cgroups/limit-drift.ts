import { writeFileSync } from "node:fs";
import type { ContainerSpec } from "../container-spec.ts";
import type { KernelDrift } from "../runtime.ts";
import type { CgroupHost } from "./cgroup-host.ts";
import { keptWrites } from "./cgroup-limits.ts";
import type { CgroupWrite } from "./cgroup-write.ts";
import { readText } from "./container-cgroup.ts";

/** Files of the limits that the kernel lets be read. */
export function limitFiles(
  host: CgroupHost,
  path: string,
  { resources }: Pick<ContainerSpec, "resources">,
): readonly string[] {
  return readableWrites(host, path, resources).map((write) => write.path);
}

/** Limits in the kernel that are not what the container asked for. */
export function limitDrift(
  host: CgroupHost,
  path: string,
  spec: Pick<ContainerSpec, "resources" | "id" | "name">,
): readonly KernelDrift[] {
  return readableWrites(host, path, spec.resources).flatMap((write): KernelDrift[] => {
    const found = readText(write.path).trim();
    if (found === "" || isSameLimit(write.field, found, write.value)) return [];
    return [
      {
        kind: "limit-changed",
        container: spec.id,
        target: spec.name,
        field: write.field,
        from: found,
        to: write.value,
      },
    ];
  });
}

function readableWrites(...of: Parameters<typeof keptWrites>): readonly CgroupWrite[] {
  return keptWrites(...of).filter(({ writeOnly }) => writeOnly !== true);
}

/** Puts back what `limitDrift` compares. */
export function writeLimits(host: CgroupHost, path: string, spec: ContainerSpec): void {
  for (const write of keptWrites(host, path, spec.resources)) {
    try {
      writeFileSync(write.path, write.value);
    } catch (error) {
      if (!write.optional) throw error;
    }
  }
}

/** The kernel rounds memory down to pages, whose size is a matter of the processor and its kernel. */
function isSameLimit(field: string, found: string, wanted: string): boolean {
  if (found === wanted) return true;
  if (!field.includes("Bytes")) return false;
  return pageSizes.some((bytes) => Number(found) === Number(wanted) - (Number(wanted) % bytes));
}

const pageSizes = [4_096, 16_384, 65_536];
