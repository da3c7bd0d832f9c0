import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { TestBundle } from "./bundle.ts";

serialKernelTest(
  "a program with a terminal that ends at once has its output and exit code told",
  async (t) => {
    const bundle = new TestBundle(t);
    bundle.configure(["args", "first", "last"], { process: { terminal: true } });
    for (let run = 0; run < 6; run += 1) {
      const { code, stdout, stderr } = await bundle.berth("run", bundle.id);
      t.is(code, 0, stderr);
      t.regex(stdout, /first\s+1: last/);
    }
    bundle.configure(["exit", "7"], { process: { terminal: true } });
    t.is((await bundle.berth("run", bundle.id)).code, 7);
  },
);

serialKernelTest("a terminal works on a /dev that is read-only", async (t) => {
  const bundle = new TestBundle(t);
  const mounts = [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "ro"] },
    { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["newinstance"] },
  ];
  bundle.configure(["stat", "/dev/console"], {
    process: { terminal: true },
    mounts,
  });
  const seen = await bundle.berth("run", bundle.id);
  t.is(seen.code, 0, seen.stderr);
  t.regex(seen.stdout, /char/);
  bundle.configure(["touch", "/dev/new"], { mounts });
  t.regex((await bundle.berth("run", bundle.id)).stderr, /Read-only/);
});

serialKernelTest(
  "exec tells its own failure by 255, and the program's by its exit code",
  async (t) => {
    const bundle = new TestBundle(t);
    bundle.configure(["sleep", "100"]);
    await bundle.create();
    await bundle.berth("start", bundle.id);
    t.is((await bundle.berth("exec", bundle.id, "/bin/probe", "exit", "1")).code, 1);
    t.is((await bundle.berth("exec", "-t", bundle.id, "/bin/probe", "exit", "3")).code, 3);
    t.is((await bundle.berth("exec", bundle.id, "/bin/none")).code, 255);
    const lost = await bundle.berth(
      ...["exec", "--pid-file", "/none/pid", bundle.id, "/bin/probe", "sleep", "99"],
    );
    t.is(lost.code, 255);
    while ((await processes(bundle)).includes("probe sleep 99")) await sleep(10);
    t.pass("whose pid nobody learned was ended");
  },
);

serialKernelTest("exec waits for a paused container where it is told to", async (t) => {
  const bundle = new TestBundle(t);
  bundle.configure(["sleep", "100"]);
  await bundle.create();
  await bundle.berth("start", bundle.id);
  await bundle.berth("pause", bundle.id);
  const refused = await bundle.berth("exec", bundle.id, "/bin/probe", "exit", "0");
  t.regex(refused.stderr, /exec in a paused container/);
  const waiting = bundle.berth("exec", "--ignore-paused", bundle.id, "/bin/probe", "exit", "9");
  await sleep(300);
  await bundle.berth("resume", bundle.id);
  t.is((await waiting).code, 9);
});

serialKernelTest("a hook of the container's root is under the container's filter", async (t) => {
  const bundle = new TestBundle(t);
  const touch = { path: "/bin/probe", args: ["probe", "write", "/tmp/hook", "here"] };
  const seccomp = {
    defaultAction: "SCMP_ACT_ALLOW",
    syscalls: [{ names: ["open", "openat", "creat"], action: "SCMP_ACT_KILL_PROCESS" }],
  };
  bundle.configure(["exit", "0"], { hooks: { startContainer: [touch] } });
  t.is((await bundle.berth("run", bundle.id)).code, 0);
  t.is(readFileSync(`${bundle.rootfs}/tmp/hook`, "utf8"), "here");
  bundle.configure(["exit", "0"], {
    hooks: { startContainer: [touch] },
    linux: { namespaces: ["pid", "ipc", "uts", "mount"].map((type) => ({ type })), seccomp },
  });
  const killed = await bundle.berth("run", bundle.id);
  t.is(killed.code, 1);
  t.regex(killed.stderr, /hook \/bin\/probe.*signal 31/);
});

async function processes(bundle: TestBundle): Promise<string> {
  return (await bundle.berth("ps", bundle.id)).stdout;
}
