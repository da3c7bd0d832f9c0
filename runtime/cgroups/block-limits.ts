import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { DeviceRate, Resources } from "../container-spec.ts";
import { weightWrites } from "./block-weights.ts";
import type { CgroupHost } from "./cgroup-host.ts";
import { type CgroupWrite, required, write } from "./cgroup-write.ts";

const field = "blockIo";

/**
 * Weights, and rates for each device of the host. Throws when a path is no block device, or a weight is asked for that nothing
 * in this kernel goes by.
 */
export function blockWrites(host: CgroupHost, path: string, { blockIo }: Resources): CgroupWrite[] {
  if (blockIo === undefined) return [];
  const directory = required(host, "blkio", path);
  const isV1 = host.v1.has("blkio");
  const rates = [
    ["readBytes", "read_bps_device", "rbps"],
    ["writeBytes", "write_bps_device", "wbps"],
    ["readOperations", "read_iops_device", "riops"],
    ["writeOperations", "write_iops_device", "wiops"],
  ] as const;
  const rateWrites = rates.flatMap(([key, v1File, v2Key]) =>
    (blockIo[key] ?? []).map((rate) =>
      isV1
        ? writeOnly(directory, `blkio.throttle.${v1File}`, `${numberOf(rate)} ${rate.rate}`)
        : writeOnly(directory, "io.max", `${numberOf(rate)} ${v2Key}=${rate.rate}`),
    ),
  );
  const weights = weightWrites(
    // The container's own cgroup is not made yet.
    dirname(directory),
    isV1 ? "v1" : "v2",
    {
      all: blockIo.weight,
      devices: (blockIo.weightDevice ?? []).map((device) => ({
        number: numberOf(device),
        weight: device.rate,
      })),
    },
    { all: "blkio_config.weight", devices: "blkio_config.weight_device" },
  );
  return [...weights.map(({ file, value }) => writeOnly(directory, file, value)), ...rateWrites];
}

function writeOnly(directory: string, file: string, value: string): CgroupWrite {
  return { ...write(directory, file, value, field), writeOnly: true };
}

/** `8:0`, as the block controllers name a device. */
function numberOf({ path }: DeviceRate): string {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true });
  if (!found?.isBlockDevice()) {
    throw new Error(
      `cannot limit block I/O on ${path} because it is no block device of this host: one such as /dev/sda is expected`,
    );
  }
  const major = ((found.rdev >> 8n) & 0xfffn) | ((found.rdev >> 32n) & 0xffff_f000n);
  const minor = (found.rdev & 0xffn) | ((found.rdev >> 12n) & 0xffff_ff00n);
  return `${major}:${minor}`;
}
