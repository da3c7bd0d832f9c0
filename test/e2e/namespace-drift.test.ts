import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();
const run = promisify(execFile);

serialKernelTest(
  "a container that was given a mount, an address or a route, or lost its way out, is started anew without",
  async (t) => {
    await agent.deploy(
      "given",
      `
services:
  web: { image: "${image}", volumes: ["data:/data"], tmpfs: /scratch }
volumes: { data: {} }
`,
    );
    const mounts = ["-m", "/bin/probe"];
    const routes = ["-n", "ip", "route"];
    const damages: readonly (readonly [readonly string[], RegExp])[] = [
      [[...mounts, "cover", "/data"], /mount \/data is "covered by another"/],
      [[...mounts, "cover", "/bin"], /mount \/bin is "there" and is put back to "absent"/],
      [[...mounts, "remount", "/proc/sys"], /mount \/proc\/sys is "rw\S*" and is put back to "ro,/],
      [[...routes, "delete", "default"], /route 0\.0\.0\.0\/0 via \S+ on eth0 is "absent"/],
      [
        [...routes, "add", "192.0.2.0/24", "dev", "eth0"],
        /route 192\.0\.2\.0\/24 on eth0 is "there"/,
      ],
      [
        ["-n", "ip", "address", "add", "192.0.2.9/24", "dev", "eth0"],
        /address 192\.0\.2\.9 is "there" and is put back to "absent"/,
      ],
    ];
    for (const [damage, told] of damages) {
      const { pid } = await agent.container("given-web-1");
      // The look that everything is compared with.
      await agent.ok("sync");
      await run("nsenter", ["-t", `${pid}`, ...damage]);
      await agent.ok("sync");
      await agent.untilContainer(
        "given-web-1",
        (entry) => entry.state === "running" && entry.pid !== pid,
      );
      t.regex(await agent.ok("events"), told);
    }
    const { pid } = await agent.container("given-web-1");
    await agent.ok("sync");
    await agent.ok("sync");
    t.is((await agent.container("given-web-1")).pid, pid);
  },
);

serialKernelTest(
  "a limit of no processes, or of less CPU, is put back however it looks",
  async (t) => {
    await agent.deploy(
      "bound",
      `services: { web: { image: "${image}", pids_limit: 5000, cpus: 0.5 } }`,
    );
    const { pid, id } = await agent.container("bound-web-1");
    const { stdout } = await run("find", ["/sys/fs/cgroup", "-path", `*${id}*`, "-type", "f"]);
    const files = stdout.split("\n");
    const quota = files.find((path) => path.endsWith("/cpu.cfs_quota_us"));
    const changes = [
      { file: files.find((path) => path.endsWith("/pids.max")), others: ["0", "4096"], to: "5000" },
      // Of cgroups v1; what it is in v2 is no number.
      ...(quota === undefined ? [] : [{ file: quota, others: ["49152"], to: "50000" }]),
    ];
    for (const { file = "", others, to } of changes) {
      for (const other of others) {
        writeFileSync(file, other);
        const told = new RegExp(`is "${other}" and is put back to "${to}"`);
        await eventually(
          async () => (told.test(await agent.ok("events")) ? true : undefined),
          `${told}`,
          15_000,
        );
      }
    }
    t.is((await agent.container("bound-web-1")).pid, pid);
  },
);

serialKernelTest(
  "a deleted bridge of a suspended app stays away until it is resumed",
  async (t) => {
    await agent.deploy("alone", `services: { web: { image: "${image}" } }`);
    const { bridge } = await agent.inspect<{ bridge: string }>("alone_default");
    const isThere = async () => (await run("ip", ["-br", "link"])).stdout.includes(bridge);
    t.true(await isThere());
    await agent.ok("suspend", "alone");
    await run("ip", ["link", "delete", bridge]);
    await agent.ok("sync");
    await agent.ok("sync");
    t.false(await isThere());
    await agent.ok("resume", "alone");
    await eventually(async () => ((await isThere()) ? true : undefined), "the bridge", 15_000);
  },
);
