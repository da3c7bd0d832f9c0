import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { DeviceRate, Resources } from "../container-spec.ts";
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
  const { weight, weightDevice = [] } = blockIo;
  if (weight === undefined && weightDevice.length === 0) return rateWrites;
  const weights = weightFiles(directory, isV1 ? v1Weights : v2Weights);
  return [
    ...(weight === undefined ? [] : [writeOnly(directory, weights.file, weights.all(weight))]),
    ...weightDevice.map((rate) =>
      writeOnly(
        directory,
        weights.deviceFile,
        `${numberOf(rate)} ${weights.each?.(rate.rate) ?? rate.rate}`,
      ),
    ),
    ...rateWrites,
  ];
}

/** From the 10 to 1000 of bfq and of v1 to the 1 to 10000 of io.weight, as runtimes agree on. */
export function ioWeight(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

type WeightFiles = {
  readonly file: string;
  /** Of single devices; cgroup2 has one file for both. */
  readonly deviceFile: string;
  /** What is written for all devices, and for each. */
  readonly all: (weight: number) => string;
  readonly each?: (weight: number) => number;
};

const v1Weights: readonly WeightFiles[] = ["blkio.bfq.weight", "blkio.weight"].map((file) => ({
  file,
  deviceFile: `${file}_device`,
  all: String,
}));
const v2Weights: readonly WeightFiles[] = [
  { file: "io.bfq.weight", deviceFile: "io.bfq.weight", all: String },
  {
    file: "io.weight",
    deviceFile: "io.weight",
    all: (weight) => `default ${ioWeight(weight)}`,
    each: ioWeight,
  },
];

/** Those that this kernel has, by what lies in the cgroup above, because the container's own is not made yet. */
function weightFiles(directory: string, known: readonly WeightFiles[]): WeightFiles {
  const above = dirname(directory);
  const found = known.find(({ file }) => existsSync(`${above}/${file}`));
  if (found !== undefined) return found;
  throw new Error(
    `cannot weigh block I/O (blkio_config.weight, weight_device) because nothing in this kernel goes by weights, there is no ${known
      .map(({ file }) => file)
      .join(" and no ")}: load the module bfq, or remove the weights`,
  );
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
