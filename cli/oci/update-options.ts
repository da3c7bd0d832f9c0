import type { OciResources } from "../../runtime/oci/oci-config.ts";
import { readResources } from "../../runtime/oci/update.ts";
import { type ParsedArguments, UsageError } from "./arguments.ts";

export const updateOptions = {
  resources: "value",
  "blkio-weight": "value",
  "cpu-period": "value",
  "cpu-quota": "value",
  "cpu-burst": "value",
  "cpu-share": "value",
  "cpu-rt-period": "value",
  "cpu-rt-runtime": "value",
  "cpuset-cpus": "value",
  "cpuset-mems": "value",
  "cpu-idle": "value",
  "kernel-memory": "value",
  "kernel-memory-tcp": "value",
  memory: "value",
  "memory-reservation": "value",
  "memory-swap": "value",
  "pids-limit": "value",
} as const;

export const updateShort = { r: "resources" };

/** Resources of a file, or those that the options name. */
export async function resourcesOf({ values }: ParsedArguments): Promise<OciResources> {
  const file = values.get("resources");
  if (file !== undefined) return readResources(file);
  const number = (name: string): number | undefined => {
    const text = values.get(name);
    if (text === undefined) return undefined;
    const value = bytesOf(text);
    if (Number.isSafeInteger(value)) return value;
    throw new UsageError(`cannot use --${name} ${text}: a number is expected`);
  };
  return {
    memory: {
      limit: number("memory"),
      reservation: number("memory-reservation"),
      swap: number("memory-swap"),
      kernel: number("kernel-memory"),
      kernelTCP: number("kernel-memory-tcp"),
    },
    cpu: {
      shares: number("cpu-share"),
      quota: number("cpu-quota"),
      burst: number("cpu-burst"),
      period: number("cpu-period"),
      realtimePeriod: number("cpu-rt-period"),
      realtimeRuntime: number("cpu-rt-runtime"),
      cpus: values.get("cpuset-cpus"),
      mems: values.get("cpuset-mems"),
      idle: number("cpu-idle"),
    },
    pids: { limit: number("pids-limit") },
    blockIO: { weight: number("blkio-weight") },
  };
}

const unitBytes: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** `512M`, as people write memory; NaN for anything else. */
function bytesOf(text: string): number {
  const [, number, unit = ""] = /^(-?\d+)([kmg]?)b?$/i.exec(text) ?? [];
  return number === undefined ? Number.NaN : Number(number) * (unitBytes[unit.toLowerCase()] ?? 1);
}
