import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { ExecutionContext } from "ava";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { TestBundle } from "./bundle.ts";

/** Nice value and policy: fields 19 and 41 of proc_pid_stat(5), counted behind the name. */
function schedule(pid: number) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return { nice: Number(fields[16]), policy: Number(fields[38]) };
}

async function started(t: ExecutionContext, bundle: TestBundle): Promise<number> {
  await bundle.create("--pid-file", `${bundle.dir}/pid`);
  t.is((await bundle.berth("start", bundle.id)).code, 0);
  return Number(readFileSync(`${bundle.dir}/pid`, "utf8"));
}

serialKernelTest(
  "scheduler, priority of block I/O and personality are those asked for",
  async (t) => {
    const bundle = new TestBundle(t);
    bundle.configure(["sleep", "100"], {
      process: {
        scheduler: { policy: "SCHED_BATCH", nice: 7 },
        ioPriority: { class: "IOPRIO_CLASS_IDLE", priority: 3 },
      },
      linux: { personality: { domain: "LINUX32" } },
    });
    const pid = await started(t, bundle);
    t.deepEqual(schedule(pid), { nice: 7, policy: 3 });
    t.is(execFileSync("ionice", ["-p", `${pid}`], { encoding: "utf8" }).trim(), "idle");
    t.is(readFileSync(`/proc/${pid}/personality`, "utf8").trim(), "00000008");
  },
);

serialKernelTest("without such wishes a process has its caller's", async (t) => {
  const bundle = new TestBundle(t);
  bundle.configure(["sleep", "100"]);
  const pid = await started(t, bundle);
  t.deepEqual(schedule(pid), { nice: 0, policy: 0 });
  t.is(readFileSync(`/proc/${pid}/personality`, "utf8").trim(), "00000000");
});

serialKernelTest("what the kernel does not schedule by is refused with its name", async (t) => {
  const bundle = new TestBundle(t);
  bundle.configure(["exit", "0"], { process: { scheduler: { policy: "SCHED_ISO" } } });
  const ended = await bundle.berth("run", bundle.id);
  t.is(ended.code, 1);
  t.regex(ended.stderr, /scheduler .*EINVAL/);
  bundle.configure(["exit", "0"], { process: { scheduler: { policy: "SCHED_NONE" } } });
  t.regex((await bundle.berth("run", bundle.id)).stderr, /process\.scheduler\.policy/);
  t.deepEqual(bundle.cgroups(), []);
});
