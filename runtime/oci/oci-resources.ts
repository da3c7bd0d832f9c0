import { weightWrites } from "../cgroups/block-weights.ts";
import { type CgroupHost, controllerDir } from "../cgroups/cgroup-host.ts";
import { readText } from "../cgroups/container-cgroup.ts";
import type { OciResources } from "./oci-config.ts";
import { unifiedWrites } from "./unified-resources.ts";

/** A file of a cgroup, below its mount point's controller, and what is written to it. */
export type ResourceWrite = {
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** The kernel may lack the file without a limit being lost. */
  readonly optional?: boolean;
};

/** Where the files of a host's controllers lie, and which limits are in force. */
export type ResourcePlace = { readonly host: CgroupHost; readonly path: string };

/** `linux.resources` as writes to v1 files, or v2 ones where a controller lives there, in an order the kernel takes. */
export function resourceWrites(
  resources: OciResources,
  { host, path }: ResourcePlace,
): readonly { readonly path: string; readonly value: string; readonly optional: boolean }[] {
  const v1 = [
    ...memoryWrites(resources.memory ?? {}, `${host.v1.get("memory") ?? ""}${path}`),
    ...cpuWrites(resources.cpu ?? {}, `${host.v1.get("cpu") ?? ""}${path}`),
    ...pidsWrites(resources.pids ?? {}),
    ...blockWrites(resources.blockIO ?? {}),
    ...hugepageWrites(resources.hugepageLimits ?? []),
    ...networkWrites(resources.network ?? {}),
  ].filter(({ controller }) => host.v1.has(controller) || ofV1Only.has(controller));
  const v2 = unifiedWrites(resources).filter(({ controller }) => !host.v1.has(controller));
  const own = Object.entries(resources.unified ?? {}).map(([file, value]) => ({
    controller: "unified",
    file,
    value,
  }));
  const weights = blockWeights(resources.blockIO ?? {}, { host, path });
  return [...v1, ...v2, ...weights, ...own].map((write: ResourceWrite) => ({
    path: `${mountPointOf(host, write)}${path}/${write.file}`,
    value: write.value,
    optional: write.optional === true,
  }));
}

/** cgroup2 has nothing in their place. */
const ofV1Only = new Set(["net_cls", "net_prio"]);

/** A limit that nobody would keep is refused. */
function mountPointOf(host: CgroupHost, { controller, file, optional }: ResourceWrite): string {
  const v1 = host.v1.get(controller);
  if (v1 !== undefined) return v1;
  const name = controller === "blkio" ? "io" : controller;
  const isThere = controller === "unified" || host.unifiedControllers.has(name);
  const found = isThere ? host.unified : undefined;
  if (found === undefined && optional === true) return host.unified ?? "";
  if (found === undefined) {
    const reason =
      controller === "unified"
        ? "no cgroup2 for linux.resources.unified"
        : `no ${controller} controller`;
    throw new Error(
      `cannot set ${file} because this host has ${reason} (invalid configuration): leave the limit out`,
    );
  }
  return found;
}

/** Memory with swap can never be less than memory: whichever is raised goes first. */
function memoryWrites(
  memory: NonNullable<OciResources["memory"]>,
  dir: string,
): readonly ResourceWrite[] {
  const write = (file: string, value: number | undefined | null): readonly ResourceWrite[] =>
    value == null ? [] : [{ controller: "memory", file: `memory.${file}`, value: `${value}` }];
  // Callers that change something else send 0 for what they leave alone.
  const { limit, reservation, kernelTCP } = withoutZeros(memory);
  // Without a limit on memory one on swap has nothing to add to; -1 takes both away.
  const asked = memory.swap === 0 ? undefined : memory.swap;
  const swap = limit === -1 && asked == null ? -1 : asked;
  const pair = [
    ...write("limit_in_bytes", limit),
    ...write("memsw.limit_in_bytes", swap).map((one) => ({ ...one, optional: swap === -1 })),
  ];
  const current = Number(readText(`${dir}/memory.memsw.limit_in_bytes`));
  const rises = limit != null && (limit === -1 || limit > current) && current > 0;
  return [
    ...(rises ? pair.toReversed() : pair),
    ...write("soft_limit_in_bytes", reservation),
    // The kernel has given up limits on its own memory; nobody misses them.
    ...write("kmem.tcp.limit_in_bytes", kernelTCP).map((one) => ({
      ...one,
      optional: true,
    })),
    ...write("swappiness", memory.swappiness),
    ...(memory.disableOOMKiller == null
      ? []
      : write("oom_control", memory.disableOOMKiller ? 1 : 0).map((one) => ({
          ...one,
          optional: !memory.disableOOMKiller,
        }))),
  ];
}

function withoutZeros({
  limit,
  reservation,
  kernelTCP,
}: NonNullable<OciResources["memory"]>): NonNullable<OciResources["memory"]> {
  const orNothing = (value: number | null | undefined) => (value === 0 ? undefined : value);
  return {
    limit: orNothing(limit),
    reservation: orNothing(reservation),
    kernelTCP: orNothing(kernelTCP),
  };
}

/** No moment may give more time than those above the cgroup do: a shorter period comes after its quota. */
function cpuWrites(cpu: NonNullable<OciResources["cpu"]>, dir: string): readonly ResourceWrite[] {
  const write = (controller: string, file: string, value: number | string | undefined | null) =>
    value == null || value === "" ? [] : [{ controller, file, value: `${value}` }];
  const period = write("cpu", "cpu.cfs_period_us", cpu.period === 0 ? undefined : cpu.period);
  const quota = write("cpu", "cpu.cfs_quota_us", cpu.quota === 0 ? undefined : cpu.quota);
  const isShorter = (cpu.period || Infinity) < Number(readText(`${dir}/cpu.cfs_period_us`));
  return [
    ...write("cpu", "cpu.shares", cpu.shares === 0 ? undefined : cpu.shares),
    ...(isShorter ? [...quota, ...period] : [...period, ...quota]),
    ...write("cpu", "cpu.cfs_burst_us", cpu.burst),
    ...write("cpu", "cpu.rt_period_us", cpu.realtimePeriod === 0 ? undefined : cpu.realtimePeriod),
    ...write(
      "cpu",
      "cpu.rt_runtime_us",
      cpu.realtimeRuntime === 0 ? undefined : cpu.realtimeRuntime,
    ),
    ...write("cpu", "cpu.idle", cpu.idle),
    ...write("cpuset", "cpuset.cpus", cpu.cpus),
    ...write("cpuset", "cpuset.mems", cpu.mems),
  ];
}

function pidsWrites(pids: NonNullable<OciResources["pids"]>): readonly ResourceWrite[] {
  if (pids.limit == null || pids.limit === 0) return [];
  const value = pids.limit < 0 ? "max" : `${pids.limit}`;
  return [{ controller: "pids", file: "pids.max", value }];
}

function blockWrites(block: NonNullable<OciResources["blockIO"]>): readonly ResourceWrite[] {
  const write = (file: string, value: string): ResourceWrite => ({
    controller: "blkio",
    file: `blkio.${file}`,
    value,
  });
  const throttle = (file: string, devices: typeof block.throttleReadBpsDevice) =>
    (devices ?? []).map((device) =>
      write(`throttle.${file}`, `${device.major}:${device.minor} ${device.rate}`),
    );
  return [
    ...throttle("read_bps_device", block.throttleReadBpsDevice),
    ...throttle("write_bps_device", block.throttleWriteBpsDevice),
    ...throttle("read_iops_device", block.throttleReadIOPSDevice),
    ...throttle("write_iops_device", block.throttleWriteIOPSDevice),
  ];
}

/** 0 is a weight that the caller leaves alone. Leaf weights went with the scheduler that knew them. */
function blockWeights(
  { weight, weightDevice }: NonNullable<OciResources["blockIO"]>,
  { host, path }: ResourcePlace,
): readonly ResourceWrite[] {
  const weights = {
    all: weight || undefined,
    devices: (weightDevice ?? []).flatMap((device) =>
      device.weight ? [{ number: `${device.major}:${device.minor}`, weight: device.weight }] : [],
    ),
  };
  const directory = controllerDir(host, "blkio", path) ?? "";
  return weightWrites(directory, host.v1.has("blkio") ? "v1" : "v2", weights, {
    all: "linux.resources.blockIO.weight",
    devices: "linux.resources.blockIO.weightDevice",
  }).map((write) => ({ controller: "blkio", ...write }));
}

function hugepageWrites(
  limits: NonNullable<OciResources["hugepageLimits"]>,
): readonly ResourceWrite[] {
  return limits.map(({ pageSize, limit }) => ({
    controller: "hugetlb",
    file: `hugetlb.${pageSize}.limit_in_bytes`,
    value: `${limit}`,
  }));
}

function networkWrites(network: NonNullable<OciResources["network"]>): readonly ResourceWrite[] {
  return [
    ...(network.classID == null
      ? []
      : [{ controller: "net_cls", file: "net_cls.classid", value: `${network.classID}` }]),
    ...(network.priorities ?? []).map(({ name, priority }) => ({
      controller: "net_prio",
      file: "net_prio.ifpriomap",
      value: `${name} ${priority}`,
    })),
  ];
}
