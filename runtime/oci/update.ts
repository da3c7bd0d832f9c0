import { readFileSync } from "node:fs";
import { detectCgroups } from "../cgroups/cgroup-host.ts";
import { requireStatus } from "./container-status.ts";
import { writeLimit } from "./create.ts";
import { OciResources } from "./oci-config.ts";
import { resourceWrites } from "./oci-resources.ts";
import { readJson } from "./read-json.ts";
import type { StateDirectory } from "./state-directory.ts";

/** Resources from a file, or from stdin for `-`. */
export function readResources(path: string): OciResources {
  return readJson(path, OciResources, "the resources");
}

/** Changes the limits of a running container. What the kernel did not take is told, and what came before it stays. */
export function updateContainer(directory: StateDirectory, resources: OciResources): void {
  const record = directory.read();
  requireStatus(record, directory, ["running", "created", "paused"], "update");
  const place = { host: detectCgroups(), path: record.cgroupPath };
  for (const write of resourceWrites(resources, place)) {
    // The same value again may be refused, for example while the limit is below what is in use.
    if (isWritten(write.path, write.value)) continue;
    writeLimit(write);
  }
}

/** The period cannot be written alone where the quota beside it would become too small: the kernel then says so. */
function isWritten(path: string, value: string): boolean {
  try {
    return readFileSync(path, "utf8").trim() === value;
  } catch {
    return false;
  }
}
