import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { ExecutionContext } from "ava";
import {
  type CgroupHost,
  controllerDir,
  detectCgroups,
} from "../../runtime/cgroups/cgroup-host.ts";
import type { ContainerSpec, Resources } from "../../runtime/container-spec.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { kernelTest } from "./kernel-test.ts";
import { probeSpec, runToEnd, statusOf, withRuntime } from "./runtime-harness.ts";

const mebibyte = 1024 * 1024;

/** Controller, file of v1, file of v2, and what stands there; undefined: that version has no such file. */
type Expected = readonly [
  controller: string,
  v1: string | undefined,
  v2: string | undefined,
  values: readonly [v1: string, v2: string],
];

kernelTest("every limit stands in the kernel's files as it was asked for", (t) =>
  withRuntime(async ({ runtime }) => {
    const resources: Resources = {
      memoryBytesMax: 64 * mebibyte,
      memorySwapBytesMax: 96 * mebibyte,
      memoryReservationBytes: 32 * mebibyte,
      cpuPeriodUs: 50_000,
      cpuQuotaUs: 25_000,
      cpuShares: 512,
      cpuset: "0",
      pidsMax: 40,
    };
    await compare(t, runtime, resources, [
      ["memory", "memory.limit_in_bytes", "memory.max", same(64 * mebibyte)],
      ["memory", "memory.soft_limit_in_bytes", "memory.low", same(32 * mebibyte)],
      [
        "memory",
        "memory.memsw.limit_in_bytes",
        "memory.swap.max",
        [`${96 * mebibyte}`, `${32 * mebibyte}`],
      ],
      ["cpu", "cpu.cfs_period_us", "cpu.max", ["50000", "25000 50000"]],
      ["cpu", "cpu.cfs_quota_us", undefined, ["25000", ""]],
      ["cpu", "cpu.shares", "cpu.weight", ["512", "20"]],
      ["cpuset", "cpuset.cpus", "cpuset.cpus", same(0)],
      ["pids", "pids.max", "pids.max", same(40)],
    ]);
  }),
);

kernelTest("rates of a block device and huge pages stand in the kernel's files", (t) =>
  withRuntime(async ({ runtime }) => {
    const host = detectCgroups();
    const device = blockDevice();
    const hasBlock = controllerDir(host, "blkio", "") !== undefined && device !== undefined;
    if (hasBlock) {
      const { path, number } = device;
      const blockIo = {
        readBytes: [{ path, rate: mebibyte }],
        writeOperations: [{ path, rate: 100 }],
      };
      await compare(t, runtime, { blockIo }, [
        [
          "blkio",
          "blkio.throttle.read_bps_device",
          "io.max",
          [`${number} ${mebibyte}`, `${number} rbps=${mebibyte} wbps=max riops=max wiops=100`],
        ],
        ["blkio", "blkio.throttle.write_iops_device", undefined, [`${number} 100`, ""]],
      ]);
    }
    const hugePages = { "2MB": 4 * mebibyte };
    const sizes = existsSync("/sys/kernel/mm/hugepages/hugepages-2048kB");
    if (controllerDir(host, "hugetlb", "") !== undefined && sizes) {
      await compare(t, runtime, { hugePageBytesMax: hugePages }, [
        ["hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max", same(4 * mebibyte)],
      ]);
    } else {
      const spec = probeSpec(runtime, ["exit", "0"], {
        resources: { hugePageBytesMax: hugePages },
      });
      await t.throwsAsync(() => runToEnd(runtime, spec), { message: /huge/i });
    }
  }),
);

kernelTest("weights of block I/O stand in the kernel's files where its scheduler keeps them", (t) =>
  withRuntime(async ({ runtime }) => {
    const host = detectCgroups();
    const spec = probeSpec(runtime, ["sleep", "100"]);
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    const { cgroupPath } = await statusOf(runtime, spec.id);
    const directory = controllerDir(host, "blkio", cgroupPath);
    const kept = ["blkio.bfq.weight", "io.bfq.weight", "io.weight"].find((file) =>
      existsSync(`${directory}/${file}`),
    );
    if (kept === undefined) {
      const weighed = probeSpec(runtime, ["exit", "0"], {
        resources: { blockIo: { weight: 300 } },
      });
      await t.throwsAsync(() => runToEnd(runtime, weighed), { message: /blkio_config.weight/ });
      return;
    }
    if (kept === "io.weight") {
      await compare(t, runtime, { blockIo: { weight: 300 } }, [
        ["blkio", undefined, "io.weight", ["", "default 2930"]],
      ]);
      return;
    }
    await compare(t, runtime, { blockIo: { weight: 300 } }, [
      ["blkio", "blkio.bfq.weight", "io.bfq.weight", ["300", "default 300"]],
    ]);
    const device = blockDevice((name) => {
      // A disk that takes bios and no requests, as zram does, has no scheduler.
      const scheduler = `/sys/block/${name}/queue/scheduler`;
      return existsSync(scheduler) && readFileSync(scheduler, "utf8").includes("[bfq]");
    });
    if (device === undefined) return;
    const { path, number } = device;
    const blockIo = { weight: 300, weightDevice: [{ path, rate: 500 }] };
    await compare(t, runtime, { blockIo }, [
      ["blkio", "blkio.bfq.weight", undefined, ["300", ""]],
      ["blkio", "blkio.bfq.weight_device", undefined, [`default 300\n${number} 500`, ""]],
      ["blkio", undefined, "io.bfq.weight", ["", `default 300\n${number} 500`]],
    ]);
  }),
);

kernelTest("limits of memory and processes hold", (t) =>
  withRuntime(async ({ runtime }) => {
    const hungry = probeSpec(runtime, ["eat-memory", "64"], {
      resources: { memoryBytesMax: 16 * mebibyte },
    });
    t.like((await runToEnd(runtime, hungry)).exit, { oomKilled: true, signal: 9 });
    const forking = probeSpec(runtime, ["fork-bomb"], { resources: { pidsMax: 10 } });
    const { stdout } = await runToEnd(runtime, forking);
    t.is(Number(/\d+/.exec(stdout)?.[0]), 9);
  }),
);

async function compare(
  t: ExecutionContext,
  runtime: Runtime,
  resources: Resources,
  expected: readonly Expected[],
): Promise<void> {
  const host = detectCgroups();
  const spec: ContainerSpec = probeSpec(runtime, ["sleep", "100"], { resources });
  await runtime.createContainer(spec);
  await runtime.startContainer(spec.id);
  const { cgroupPath } = await statusOf(runtime, spec.id);
  for (const [controller, v1, v2, [ofV1, ofV2]] of expected) {
    const isV1 = host.v1.has(controller);
    const file = isV1 ? v1 : v2;
    if (file === undefined) continue;
    t.is(read(host, controller, cgroupPath, file), isV1 ? ofV1 : ofV2, file);
  }
}

function read(host: CgroupHost, controller: string, cgroup: string, file: string): string {
  return readFileSync(`${controllerDir(host, controller, cgroup)}/${file}`, "utf8").trim();
}

function same(value: number): readonly [string, string] {
  return [`${value}`, `${value}`];
}

/** A disk of this machine that has its node. */
function blockDevice(
  isMeant: (name: string) => boolean = (name) => !/^(?:loop|ram|zram)/.test(name),
): { readonly path: string; readonly number: string } | undefined {
  for (const name of readdirSync("/sys/block")) {
    if (!existsSync(`/dev/${name}`) || !isMeant(name)) continue;
    const number = readFileSync(`/sys/block/${name}/dev`, "utf8").trim();
    return { path: `/dev/${name}`, number };
  }
  return undefined;
}
