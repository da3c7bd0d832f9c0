import { readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import type { ExecutionContext } from "ava";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { type ConfigChanges, TestBundle } from "./bundle.ts";

async function started(t: ExecutionContext, changes: ConfigChanges) {
  const bundle = new TestBundle(t);
  bundle.configure(["sleep", "100"], changes);
  await bundle.create("--pid-file", `${bundle.dir}/pid`);
  t.is((await bundle.berth("start", bundle.id)).code, 0);
  return { bundle, pid: Number(readFileSync(`${bundle.dir}/pid`, "utf8")) };
}

function cpusOf(status: string): string {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? "none";
}

function policiesOf(maps: string): readonly string[] {
  return [...new Set(maps.split("\n").flatMap((line) => line.split(" ")[1] ?? []))];
}

function kernelVersion(): number {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  return major + minor / 100;
}

const ownCpus = () => cpusOf(readFileSync("/proc/self/status", "utf8"));
const firstCpu = () => /^\d+/.exec(ownCpus())?.[0] ?? "0";

const statusInside = async (bundle: TestBundle) =>
  (await bundle.berth("exec", bundle.id, "/bin/probe", "cat", "/proc/self/status")).stdout;

serialKernelTest("a further process runs on its final CPUs, the first on all", async (t) => {
  const { bundle, pid } = await started(t, {
    process: { execCPUAffinity: { final: firstCpu() } },
  });
  t.is(cpusOf(readFileSync(`/proc/${pid}/status`, "utf8")), ownCpus());
  t.is(cpusOf(await statusInside(bundle)), firstCpu());
});

serialKernelTest("a further process begins on its initial CPUs", async (t) => {
  const { bundle } = await started(t, { process: { execCPUAffinity: { initial: firstCpu() } } });
  const cpus = cpusOf(await statusInside(bundle));
  // Since 6.2 a process keeps what it was given when its cgroup changes, as far as that allows it.
  if (kernelVersion() >= 6.02) t.is(cpus, firstCpu());
  else t.true([firstCpu(), ownCpus()].includes(cpus));
  const none = await started(t, { process: { execCPUAffinity: { initial: "4000" } } });
  t.regex(
    (await none.bundle.berth("exec", none.bundle.id, "/bin/probe", "exit", "0")).stderr,
    /affinity CPUs of the process: .*EINVAL/,
  );
});

serialKernelTest(
  "the final CPUs of a process of its own take the place of the first",
  async (t) => {
    const { bundle } = await started(t, { process: { execCPUAffinity: { final: "4000" } } });
    const process = `${bundle.dir}/process.json`;
    const [first, all] = [firstCpu(), ownCpus()];
    writeFileSync(
      process,
      JSON.stringify({
        args: ["/bin/probe", "cat", "/proc/self/status"],
        cwd: "/",
        execCPUAffinity: { initial: first, final: all },
      }),
    );
    const ended = await bundle.berth("exec", "--process", process, bundle.id);
    t.is(cpusOf(ended.stdout), all);
    const without = await bundle.berth("exec", bundle.id, "/bin/probe", "exit", "0");
    t.is(without.code, 255);
    t.regex(without.stderr, /affinity CPUs of the process: .*EINVAL/);
  },
);

serialKernelTest("every process allocates by the memory policy of its container", async (t) => {
  const { bundle, pid } = await started(t, {
    linux: {
      memoryPolicy: { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] },
    },
  });
  t.deepEqual(policiesOf(readFileSync(`/proc/${pid}/numa_maps`, "utf8")), ["bind=static:0"]);
  const maps = await bundle.berth("exec", bundle.id, "/bin/probe", "cat", "/proc/self/numa_maps");
  t.deepEqual(policiesOf(maps.stdout), ["bind=static:0"]);
});

serialKernelTest("a memory policy without nodes is set, one of missing nodes is not", async (t) => {
  const local = await started(t, { linux: { memoryPolicy: { mode: "MPOL_LOCAL" } } });
  t.deepEqual(policiesOf(readFileSync(`/proc/${local.pid}/numa_maps`, "utf8")), ["local"]);
  const bundle = new TestBundle(t);
  bundle.configure(["exit", "0"], {
    linux: { memoryPolicy: { mode: "MPOL_INTERLEAVE", nodes: "900-1000" } },
  });
  const ended = await bundle.berth("run", bundle.id);
  t.is(ended.code, 1);
  t.regex(ended.stderr, /memory ?policy of the process: .*EINVAL/i);
  t.deepEqual(bundle.cgroups(), []);
});
