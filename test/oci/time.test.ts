import { readFileSync, readlinkSync } from "node:fs";
import type { ExecutionContext } from "ava";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { type ConfigChanges, TestBundle } from "./bundle.ts";

const kinds = ["pid", "network", "ipc", "uts", "mount", "time"];
const ids = [{ containerID: 0, hostID: 700_000, size: 65_536 }];
const dayS = 86_400;

async function started(t: ExecutionContext, linux: ConfigChanges["linux"]) {
  const bundle = new TestBundle(t);
  bundle.configure(["sleep", "100"], { linux: { ...linux } });
  await bundle.create("--pid-file", `${bundle.dir}/pid`);
  t.is((await bundle.berth("start", bundle.id)).code, 0);
  return { bundle, pid: Number(readFileSync(`${bundle.dir}/pid`, "utf8")) };
}

const uptimeS = (text: string) => Number(text.split(" ")[0]);
const hostUptimeS = () => uptimeS(readFileSync("/proc/uptime", "utf8"));

async function uptimeInside(bundle: TestBundle): Promise<number> {
  const { stdout } = await bundle.berth("exec", bundle.id, "/bin/probe", "cat", "/proc/uptime");
  return uptimeS(stdout);
}

for (const own of [false, true]) {
  const owner = own ? "a user namespace of its own" : "the host's user namespace";
  serialKernelTest(`clocks are offset in a container with ${owner}`, async (t) => {
    const { bundle, pid } = await started(t, {
      namespaces: [...kinds, ...(own ? ["user"] : [])].map((type) => ({ type })),
      ...(own ? { uidMappings: ids, gidMappings: ids } : {}),
      timeOffsets: { boottime: { secs: 7 * dayS }, monotonic: { secs: dayS, nanosecs: 500 } },
    });
    const lines = readFileSync(`/proc/${pid}/timens_offsets`, "utf8").trim().split("\n");
    t.deepEqual(
      lines.map((line) => line.split(/\s+/)),
      [
        ["monotonic", `${dayS}`, "500"],
        ["boottime", `${7 * dayS}`, "0"],
      ],
    );
    // The first process is inside, not only what it may fork.
    t.is(readlinkSync(`/proc/${pid}/ns/time`), readlinkSync(`/proc/${pid}/ns/time_for_children`));
    const before = hostUptimeS();
    const inside = await uptimeInside(bundle);
    t.true(inside - before >= 7 * dayS - 1 && inside - hostUptimeS() <= 7 * dayS + 1);
  });
}

serialKernelTest("a time namespace without offsets, or another's, is entered", async (t) => {
  const first = await started(t, {
    namespaces: kinds.map((type) => ({ type })),
    timeOffsets: { boottime: { secs: 3 * dayS } },
  });
  const path = `/proc/${first.pid}/ns/time`;
  const second = await started(t, {
    namespaces: kinds.map((type) => (type === "time" ? { type, path } : { type })),
  });
  t.is(readlinkSync(`/proc/${second.pid}/ns/time`), readlinkSync(path));
  t.true((await uptimeInside(second.bundle)) > 3 * dayS);
  const plain = await started(t, { namespaces: kinds.map((type) => ({ type })) });
  t.not(readlinkSync(`/proc/${plain.pid}/ns/time`), readlinkSync("/proc/self/ns/time"));
  t.true((await uptimeInside(plain.bundle)) < hostUptimeS() + 1);
});

serialKernelTest("offsets that no clock can show are refused, and undone", async (t) => {
  const bundle = new TestBundle(t);
  bundle.configure(["exit", "0"], {
    linux: {
      namespaces: kinds.map((type) => ({ type })),
      timeOffsets: { boottime: { secs: -1000 * 365 * dayS } },
    },
  });
  const ended = await bundle.berth("run", bundle.id);
  t.is(ended.code, 1);
  t.regex(ended.stderr, /offsets of the time namespace: .*ERANGE/);
  t.deepEqual(bundle.cgroups(), []);
});
