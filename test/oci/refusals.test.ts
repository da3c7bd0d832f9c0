import { existsSync, readFileSync } from "node:fs";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { type ConfigChanges, TestBundle } from "./bundle.ts";

const own = ["pid", "ipc", "uts", "mount"].map((type) => ({ type }));

/** What is asked for -> what the refusal names. */
const impossible: readonly (readonly [name: string, changes: ConfigChanges, named: RegExp])[] = [
  [
    "a container in the host's mount namespace",
    { linux: { namespaces: [{ type: "pid" }] } },
    /linux\.namespaces/,
  ],
  [
    "a namespace that is named twice",
    { linux: { namespaces: [...own, { type: "pid" }] } },
    /pid is named twice/,
  ],
  [
    "a user namespace without ids",
    { linux: { namespaces: [...own, { type: "user" }] } },
    /uidMappings/,
  ],
  [
    "a sysctl of the host",
    { linux: { namespaces: own, sysctl: { "vm.swappiness": "1" } } },
    /vm\.swappiness/,
  ],
  [
    "a sysctl of a namespace that is the host's",
    { linux: { namespaces: own, sysctl: { "net.core.somaxconn": "9" } } },
    /network namespace is the host's/,
  ],
  [
    "offsets of the host's clocks",
    { linux: { namespaces: own, timeOffsets: { boottime: { secs: 1 } } } },
    /linux\.timeOffsets/,
  ],
  [
    "an offset of a clock that has none",
    { linux: { namespaces: [...own, { type: "time" }], timeOffsets: { realtime: { secs: 1 } } } },
    /linux\.timeOffsets.*realtime/,
  ],
  [
    "CPUs that are no list",
    { process: { execCPUAffinity: { final: "0-" } } },
    /process\.execCPUAffinity\.final 0-/,
  ],
  [
    "a memory policy that does not exist",
    { linux: { namespaces: own, memoryPolicy: { mode: "MPOL_BEST" } } },
    /linux\.memoryPolicy\.mode/,
  ],
  [
    "a memory policy without the nodes that it needs",
    { linux: { namespaces: own, memoryPolicy: { mode: "MPOL_BIND" } } },
    /MPOL_BIND needs nodes/,
  ],
  [
    "nodes of a memory policy that has none",
    { linux: { namespaces: own, memoryPolicy: { mode: "MPOL_LOCAL", nodes: "0" } } },
    /linux\.memoryPolicy\.nodes/,
  ],
  [
    "nodes in a range that runs backwards",
    { linux: { namespaces: own, memoryPolicy: { mode: "MPOL_BIND", nodes: "3-1" } } },
    /linux\.memoryPolicy\.nodes 3-1/,
  ],
  [
    "a network device for the host's network namespace",
    { linux: { namespaces: own, netDevices: { eth9: {} } } },
    /linux\.netDevices .*network namespace/,
  ],
  [
    "a network device that the host has not",
    { linux: { namespaces: [...own, { type: "network" }], netDevices: { eth9: {} } } },
    /linux\.netDevices eth9/,
  ],
  [
    "a loopback device to move",
    { linux: { namespaces: [...own, { type: "network" }], netDevices: { lo: { name: "a0" } } } },
    /linux\.netDevices lo/,
  ],
  [
    "two network devices of one name",
    {
      linux: {
        namespaces: [...own, { type: "network" }],
        netDevices: { eth8: { name: "a0" }, eth9: { name: "a0" } },
      },
    },
    /another device is named a0/,
  ],
  [
    "a name that no network device can have",
    { linux: { namespaces: [...own, { type: "network" }], netDevices: { eth9: { name: "a/b" } } } },
    /no device can be named a\/b/,
  ],
  ["a class of cache and bandwidth", { linux: { namespaces: own, intelRdt: {} } }, /intelRdt/],
  ...["net.//.kernel.core_pattern", "net/../kernel/core_pattern", "net..core.somaxconn"].map(
    (name): (typeof impossible)[number] => [
      `the sysctl ${name}, which leads out of its namespace`,
      { linux: { namespaces: [...own, { type: "network" }], sysctl: { [name]: "core" } } },
      /its name is malformed/,
    ],
  ),
  ["an AppArmor profile", { process: { apparmorProfile: "strict" } }, /AppArmor profile "strict"/],
  ["an SELinux label", { process: { selinuxLabel: "a:b:c" } }, /selinuxLabel/],
  [
    "a limit that does not exist",
    { process: { rlimits: [{ type: "RLIMIT_FOO", soft: 1, hard: 1 }] } },
    /RLIMIT_FOO/,
  ],
  [
    "a cgroup path that leads out",
    { linux: { namespaces: own, cgroupsPath: "/a/../../b" } },
    /cgroupsPath/,
  ],
  [
    "a seccomp action that nobody answers",
    { linux: { namespaces: own, seccomp: { defaultAction: "SCMP_ACT_NOTIFY" } } },
    /SCMP_ACT_NOTIFY/,
  ],
  ["a root that is no directory", { root: { path: "nowhere" } }, /root\.path/],
  ["a terminal that nobody takes", { process: { terminal: true } }, /--console-socket/],
  ["no program", { process: { args: [] } }, /process\.args/],
  ["an unknown version", { ociVersion: "9.0.0" }, /ociVersion/],
];

for (const [name, changes, named] of impossible) {
  serialKernelTest(`refuses ${name} before anything is made`, async (t) => {
    const bundle = new TestBundle(t);
    bundle.configure(["exit", "0"], changes);
    const ended = await bundle.berth("create", "--bundle", bundle.dir, bundle.id);
    t.is(ended.code, 1);
    t.regex(ended.stderr, named);
    t.false(existsSync(`${bundle.root}/${bundle.id}`));
    t.deepEqual(bundle.cgroups(), []);
  });
}

serialKernelTest("an id that leads out of the state directory is refused", async (t) => {
  const bundle = new TestBundle(t);
  bundle.configure(["exit", "0"]);
  const ended = await bundle.berth("create", "--bundle", bundle.dir, "../outside");
  t.is(ended.code, 1);
  t.regex(ended.stderr, /container id/);
});

serialKernelTest("a failure is logged as JSON where the caller asks for it", async (t) => {
  const bundle = new TestBundle(t);
  const log = `${bundle.dir}/log`;
  await bundle.berth("--log", log, "--log-format", "json", "state", "none");
  // Written by the program under test; a missing field fails the comparison.
  const line = JSON.parse(readFileSync(log, "utf8")) as { level: string; msg: string };
  t.is(line.level, "error");
  t.regex(line.msg, /does not exist/);
});
