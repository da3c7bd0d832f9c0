import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContainerSpec, Security } from "../../runtime/container-spec.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { kernelTest } from "./kernel-test.ts";
import {
  execProbe,
  payloadPath,
  probeSpec,
  runToEnd,
  statusOf,
  withRuntime,
} from "./runtime-harness.ts";

const run = (runtime: Runtime, argv: readonly string[], more: Partial<ContainerSpec> = {}) =>
  runToEnd(runtime, probeSpec(runtime, argv, more));

/** Starts a container that stays, and gives its first process. */
async function keep(runtime: Runtime, more: Partial<ContainerSpec>) {
  const spec = probeSpec(runtime, ["sleep", "60"], more);
  await runtime.createContainer(spec);
  const { pid } = await runtime.startContainer(spec.id);
  return { spec, pid };
}

const refused = (runtime: Runtime, more: Partial<ContainerSpec>) =>
  runtime.createContainer(probeSpec(runtime, ["exit", "0"], more));

kernelTest("capabilities are added and dropped, and ALL drops what is not added", (t) =>
  withRuntime(async ({ runtime }) => {
    const effective = async (security: Security) => {
      const { stdout } = await run(runtime, ["cat", "/proc/self/status"], { security });
      return /^CapEff:\t([0-9a-f]+)$/m.exec(stdout)?.[1];
    };
    t.is(await effective({ capabilitiesDropped: ["ALL"] }), "0000000000000000");
    t.is(
      await effective({ capabilitiesDropped: ["ALL"], capabilitiesAdded: ["NET_ADMIN"] }),
      "0000000000001000",
    );
    t.is(await effective({ capabilitiesAdded: ["cap_sys_time"] }), "00000000820405fb");
    await t.throwsAsync(refused(runtime, { security: { capabilitiesAdded: ["FLY"] } }), {
      message: /security: cannot use capability "FLY"/,
    });
  }),
);

kernelTest("no further user namespace begins inside, with or without the filter", (t) =>
  withRuntime(async ({ runtime }) => {
    const limit = await run(runtime, ["cat", "/proc/sys/user/max_user_namespaces"]);
    t.is(limit.stdout.trim(), "0");
    const { spec } = await keep(runtime, {
      security: { seccomp: "unconfined" },
      mounts: [
        {
          type: "bind",
          source: payloadPath("probe-kernel"),
          target: "/probe-kernel",
          readOnly: true,
          createHostPath: false,
        },
      ],
    });
    const tried = await execProbe(runtime, spec.id, [
      "/probe-kernel",
      "try",
      "unshare-user",
      "clone-user",
    ]);
    t.is(tried.stdout, "unshare-user ENOSPC\nclone-user ENOSPC\n");
    const host = readFileSync("/proc/sys/user/max_user_namespaces", "utf8").trim();
    t.not(host, "0");
  }),
);

kernelTest(
  "a user who is not root gains nothing by set-user-id programs, unless that is asked for",
  (t) =>
    withRuntime(async ({ runtime }) => {
      const flag = async (more: Partial<ContainerSpec>) => {
        const { stdout } = await run(runtime, ["cat", "/proc/self/status"], more);
        return /^NoNewPrivs:\t(\d)$/m.exec(stdout)?.[1];
      };
      t.is(await flag({}), "0");
      t.is(await flag({ user: "1000:1000" }), "1");
      t.is(await flag({ user: "1000:1000", security: { noNewPrivileges: false } }), "0");
      t.is(await flag({ security: { noNewPrivileges: true } }), "1");
    }),
);

kernelTest("a profile of one's own filters, and a malformed one is refused", (t) =>
  withRuntime(async ({ runtime }) => {
    const profile = (call: string) =>
      JSON.stringify({
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: [call], action: "SCMP_ACT_ERRNO", errnoRet: 38 }],
      });
    const security = { seccomp: profile("getdents64"), noNewPrivileges: true };
    const { exit, stderr } = await run(runtime, ["ls", "/"], { security });
    t.is(exit?.code, 1, stderr);
    await t.throwsAsync(refused(runtime, { security: { seccomp: "{}" } }), {
      message: /security: cannot use the seccomp profile because defaultAction/,
    });
  }),
);

kernelTest("a device is there for the container's root, by name and through the cgroup", (t) =>
  withRuntime(async ({ runtime }) => {
    const device = { source: "/dev/fuse", target: "/dev/own/fuse", permissions: "rw" };
    const { stdout } = await run(runtime, ["stat", "/dev/own/fuse"], { devices: [device] });
    t.regex(stdout, /char/);
    t.regex(stdout, /10[:,] ?229/);
    const { spec } = await keep(runtime, {
      devices: [device],
      deviceRules: ["c 188:* r"],
    });
    const path = (await statusOf(runtime, spec.id)).cgroupPath;
    const rules = readFileSync(`/sys/fs/cgroup/devices${path}/devices.list`, "utf8");
    t.regex(rules, /^c 10:229 rw$/m);
    t.regex(rules, /^c 188:\* r$/m);
    const missing = { source: "/dev/none", target: "/dev/none", permissions: "r" };
    await t.throwsAsync(refused(runtime, { devices: [missing] }), {
      message: /devices: cannot give device \/dev\/none because the host has none/,
    });
  }),
);

kernelTest(
  "sysctls of the container's own namespaces are set, those of the host are refused",
  (t) =>
    withRuntime(async ({ runtime }) => {
      const value = async (sysctls: Record<string, string>, path: string) =>
        (await run(runtime, ["cat", `/proc/sys/${path}`], { sysctls })).stdout.trim();
      t.is(await value({ "net.core.somaxconn": "1234" }, "net/core/somaxconn"), "1234");
      t.is(await value({ "kernel.shmmax": "65536" }, "kernel/shmmax"), "65536");
      t.is(await value({ "fs.mqueue.msg_max": "7" }, "fs/mqueue/msg_max"), "7");
      for (const name of ["kernel.core_pattern", "vm.swappiness", "net..x", "kernel.shmmax/../x"]) {
        await t.throwsAsync(refused(runtime, { sysctls: { [name]: "1" } }), {
          message: /namespaces: cannot set sysctl/,
        });
      }
      await t.throwsAsync(
        refused(runtime, {
          sysctls: { "net.core.somaxconn": "1" },
          namespaces: { network: "host" },
        }),
        { message: /the container's network is not its own/ },
      );
    }),
);

kernelTest("limits of a process are what was asked for, and above the agent's own refused", (t) =>
  withRuntime(async ({ runtime }) => {
    const ulimits = { nofile: { soft: 20, hard: 30 }, nproc: { soft: 50, hard: 60 } };
    const { stdout } = await run(runtime, ["cat", "/proc/self/limits"], { ulimits });
    t.regex(stdout, /^Max open files\s+20\s+30\s/m);
    t.regex(stdout, /^Max processes\s+50\s+60\s/m);
    t.regex(stdout, /^Max core file size\s+0\s+0\s/m);
    await t.throwsAsync(refused(runtime, { ulimits: { wishes: { soft: 3, hard: 3 } } }), {
      message: /ulimits: cannot limit "wishes"/,
    });
  }),
);

kernelTest("processor, memory and block limits reach the cgroup", (t) =>
  withRuntime(async ({ runtime }) => {
    const { spec } = await keep(runtime, {
      resources: {
        memoryBytesMax: 64 * 1024 * 1024,
        memorySwapBytesMax: 128 * 1024 * 1024,
        memorySwappiness: 10,
        cpuShares: 512,
        cpuPeriodUs: 50_000,
        cpuQuotaUs: 25_000,
        cpuset: "0",
        blockIo: { readBytes: [{ path: "/dev/loop0", rate: 1_048_576 }] },
      },
    });
    const { cgroupPath } = await statusOf(runtime, spec.id);
    const read = (controller: string, file: string) =>
      readFileSync(`/sys/fs/cgroup/${controller}${cgroupPath}/${file}`, "utf8").trim();
    t.is(read("memory", "memory.swappiness"), "10");
    t.is(read("cpu", "cpu.shares"), "512");
    t.is(read("cpu", "cpu.cfs_quota_us"), "25000");
    t.is(read("cpuset", "cpuset.cpus"), "0");
    t.is(read("blkio", "blkio.throttle.read_bps_device"), "7:0 1048576");
    t.is(read("pids", "pids.max"), "2048");
    const { stdout } = await execProbe(runtime, spec.id, [
      "/bin/probe",
      "cat",
      "/proc/self/status",
    ]);
    t.regex(stdout, /^Cpus_allowed_list:\t0$/m);
    t.deepEqual((await runtime.observe()).drift, []);
  }),
);

kernelTest("a container shares the namespaces of another one, and its ids", (t) =>
  withRuntime(async ({ runtime }) => {
    const first = await keep(runtime, {});
    const container = first.spec.name;
    const second = await keep(runtime, {
      namespaces: { network: { container }, pid: { container }, ipc: { container } },
    });
    for (const name of ["net", "pid", "ipc", "user"]) {
      t.is(
        readlinkSync(`/proc/${second.pid}/ns/${name}`),
        readlinkSync(`/proc/${first.pid}/ns/${name}`),
        name,
      );
    }
    t.not(readlinkSync(`/proc/${second.pid}/ns/mnt`), readlinkSync(`/proc/${first.pid}/ns/mnt`));
    const seen = await execProbe(runtime, second.spec.id, ["/bin/probe", "ls", "/proc"]);
    t.is(seen.stdout.split(/\s+/).filter((name) => /^\d+$/.test(name)).length, 3, seen.stdout);
    const own = await execProbe(runtime, second.spec.id, [
      "/bin/probe",
      "cat",
      "/proc/self/uid_map",
    ]);
    t.regex(own.stdout, /^\s*0\s+\d{6,}\s+65536$/m);
    await t.throwsAsync(keep(runtime, { namespaces: { network: { container: "nobody" } } }), {
      message: /it is not running: start it first/,
    });
  }),
);

kernelTest(
  "the host's namespaces are shared where asked for, with the container's own ids kept",
  (t) =>
    withRuntime(async ({ runtime }) => {
      const { pid, spec } = await keep(runtime, {
        namespaces: { network: "host", pid: "host", ipc: "host", uts: "host", cgroup: "host" },
      });
      for (const name of ["net", "pid", "ipc", "uts", "cgroup"]) {
        t.is(readlinkSync(`/proc/${pid}/ns/${name}`), readlinkSync(`/proc/self/ns/${name}`), name);
      }
      t.not(readlinkSync(`/proc/${pid}/ns/user`), readlinkSync("/proc/self/ns/user"));
      const status = await execProbe(runtime, spec.id, [
        "/bin/probe",
        "cat",
        `/proc/${pid}/status`,
      ]);
      t.regex(status.stdout, /^Uid:\t0\t0\t0\t0$/m);
      const denied = await execProbe(runtime, spec.id, [
        "/bin/probe",
        "write",
        "/proc/sys/kernel/hostname",
        "x",
      ]);
      t.is(denied.exit.code, 1);
    }),
);

kernelTest(
  "a privileged container is the host's root with every device, and nothing else is",
  (t) =>
    withRuntime(async ({ runtime }) => {
      const { pid, spec } = await keep(runtime, { security: { privileged: true } });
      t.is(readlinkSync(`/proc/${pid}/ns/user`), readlinkSync("/proc/self/ns/user"));
      const status = await execProbe(runtime, spec.id, ["/bin/probe", "cat", "/proc/self/status"]);
      t.regex(status.stdout, /^Seccomp:\t0$/m);
      t.regex(status.stdout, /^Uid:\t0\t0\t0\t0$/m);
      const held = /^CapBnd:\t([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
      t.is(/^CapEff:\t([0-9a-f]+)$/m.exec(status.stdout)?.[1], held);
      const fuse = await execProbe(runtime, spec.id, ["/bin/probe", "stat", "/dev/fuse"]);
      t.regex(fuse.stdout, /char/);
      const limit = readFileSync("/proc/sys/user/max_user_namespaces", "utf8").trim();
      t.not(limit, "0");
      const port = readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8").trim();
      t.is(port, "1024");
    }),
);

kernelTest("shared memory, tmpfs, groups, hosts and name servers are what was asked for", (t) =>
  withRuntime(async ({ runtime }) => {
    const more: Partial<ContainerSpec> = {
      shmBytes: 1_048_576,
      groups: ["4242"],
      oomScoreAdj: 500,
      extraHosts: [{ name: "printer", address: "192.0.2.7" }],
      dns: { servers: ["192.0.2.53"], search: ["example.test"], options: ["ndots:2"] },
      mounts: [
        {
          type: "tmpfs",
          target: "/scratch",
          sizeBytes: 8192,
          mode: 0o700,
          uid: 7,
          gid: 8,
          exec: true,
          readOnly: false,
        },
      ],
    };
    const show = async (path: string) => (await run(runtime, ["cat", path], more)).stdout;
    const mounts = await show("/proc/self/mountinfo");
    t.regex(mounts, / \/dev\/shm .*size=1024k/);
    const scratch = mounts.split("\n").find((line) => line.includes(" /scratch ")) ?? "";
    t.regex(scratch, /size=8k/);
    t.regex(scratch, /mode=700/);
    t.notRegex(scratch, /noexec/);
    t.regex(await show("/proc/self/status"), /^Groups:\t4242 $/m);
    t.is((await show("/proc/self/oom_score_adj")).trim(), "500");
    t.regex(await show("/etc/hosts"), /^192\.0\.2\.7\tprinter$/m);
    t.is(
      await show("/etc/resolv.conf"),
      "nameserver 192.0.2.53\nsearch example.test\noptions ndots:2\n",
    );
  }),
);

kernelTest("a bind source is judged by where its links lead, also when it has to be made", (t) => {
  const allowed = mkdtempSync(join(tmpdir(), "bt-bind-"));
  const outside = mkdtempSync(join(tmpdir(), "bt-outside-"));
  symlinkSync(outside, join(allowed, "link"));
  const admitBind = ({ source }: { readonly source: string }) => source.startsWith(`${allowed}/`);
  const bind = (source: string): Partial<ContainerSpec> => ({
    mounts: [{ type: "bind", source, target: "/data", readOnly: false, createHostPath: true }],
  });
  return withRuntime(
    async ({ runtime }) => {
      for (const source of [join(allowed, "link"), join(allowed, "link", "new"), outside]) {
        await t.throwsAsync(keep(runtime, bind(source)), { message: /does not allow/ }, source);
      }
      t.deepEqual(readdirSync(outside), []);
      await keep(runtime, bind(join(allowed, "own", "new")));
      t.true(existsSync(join(allowed, "own", "new")));
    },
    { admitBind },
  ).finally(() => {
    for (const path of [allowed, outside]) rmSync(path, { recursive: true });
  });
});
