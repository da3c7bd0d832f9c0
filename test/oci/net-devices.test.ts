import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { ExecutionContext } from "ava";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { type ConfigChanges, TestBundle } from "./bundle.ts";

type Address = { readonly local: string; readonly prefixlen: number; readonly scope: string };
type Device = {
  readonly ifindex: number;
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly master?: string;
  readonly addr_info: readonly Address[];
};

const ids = [{ containerID: 0, hostID: 700_000, size: 65_536 }];
const spaces = ["pid", "network", "ipc", "uts", "mount"];

function ip(...words: readonly string[]): string {
  return execFileSync("ip", words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Devices of this process's network namespace, or of another process's. */
function devices(pid?: number): readonly Device[] {
  const inside = pid === undefined ? [] : ["nsenter", "-t", `${pid}`, "-n"];
  const [file = "", ...words] = [...inside, "ip", "-json", "address"];
  // What iproute2 prints; a missing field fails the comparison.
  return JSON.parse(execFileSync(file, words, { encoding: "utf8" })) as readonly Device[];
}

function named(all: readonly Device[], name: string): Device {
  const device = all.find(({ ifname }) => ifname === name);
  if (device === undefined) throw new Error(`no ${name} in ${all.map((each) => each.ifname)}`);
  return device;
}

const globals = ({ addr_info: addresses }: Device) =>
  addresses
    .filter(({ scope }) => scope === "global")
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);

/** A pair of devices of the host, `nd-a` and `nd-b`; what is to be lent has addresses, a large MTU and is up. */
function addPair(t: ExecutionContext): Device {
  ip("link", "add", "nd-a", "type", "veth", "peer", "name", "nd-b");
  t.teardown(() => {
    if (devices().some(({ ifname }) => ifname === "nd-b")) ip("link", "del", "nd-b");
  });
  ip("link", "set", "nd-a", "mtu", "1700", "up");
  ip("address", "add", "10.99.1.2/24", "dev", "nd-a");
  ip("address", "add", "10.99.1.3/24", "dev", "nd-a");
  ip("address", "add", "10.99.2.2/24", "valid_lft", "900", "preferred_lft", "900", "dev", "nd-a");
  ip("address", "add", "169.254.9.9/16", "scope", "link", "dev", "nd-a");
  ip("address", "add", "fd00:99::2/64", "dev", "nd-a");
  return named(devices(), "nd-a");
}

const permanent = ["10.99.1.2/24", "10.99.1.3/24", "fd00:99::2/64"];

async function started(t: ExecutionContext, linux: ConfigChanges["linux"]) {
  const bundle = new TestBundle(t);
  bundle.configure(["sleep", "100"], { linux: { ...linux } });
  await bundle.create("--pid-file", `${bundle.dir}/pid`);
  t.is((await bundle.berth("start", bundle.id)).code, 0);
  return Number(readFileSync(`${bundle.dir}/pid`, "utf8"));
}

for (const own of [false, true]) {
  const owner = own ? "a user namespace of its own" : "the host's user namespace";
  serialKernelTest(
    `a device of the host moves into a container with ${owner}, with what is permanent`,
    async (t) => {
      const before = addPair(t);
      const pid = await started(t, {
        namespaces: [...spaces, ...(own ? ["user"] : [])].map((type) => ({ type })),
        ...(own ? { uidMappings: ids, gidMappings: ids } : {}),
        netDevices: { "nd-a": { name: "inner0" } },
      });
      t.false(devices().some(({ ifname }) => ifname === "nd-a"));
      const inside = named(devices(pid), "inner0");
      t.deepEqual(globals(inside), permanent);
      t.false(inside.addr_info.some(({ local }) => local === "169.254.9.9"));
      t.deepEqual([inside.mtu, inside.address], [1700, before.address]);
      t.true(inside.flags.includes("UP"));
    },
  );
}

serialKernelTest(
  "a device keeps its name, or gets a number where the name has a place for one",
  async (t) => {
    addPair(t);
    const pid = await started(t, {
      namespaces: spaces.map((type) => ({ type })),
      netDevices: { "nd-a": {}, "nd-b": { name: "net%d" } },
    });
    t.deepEqual(
      devices(pid)
        .map(({ ifname }) => ifname)
        .filter((name) => name.startsWith("n"))
        .toSorted(),
      ["nd-a", "net0"],
    );
  },
);

/** `nd-a` and `nd-b` go into a container that cannot be created; resolves with what is said of that. */
async function lentInVain(
  t: ExecutionContext,
  argument: string,
  ...options: readonly string[]
): Promise<string> {
  addPair(t);
  ip("link", "add", "nd-bridge", "type", "bridge");
  t.teardown(() => ip("link", "del", "nd-bridge"));
  ip("link", "set", "nd-b", "master", "nd-bridge");
  const before = [named(devices(), "nd-a"), named(devices(), "nd-b")];
  const bundle = new TestBundle(t);
  bundle.configure([], {
    process: { args: [argument, "sleep", "100"] },
    linux: {
      namespaces: spaces.map((type) => ({ type })),
      netDevices: { "nd-a": { name: "inner0" }, "nd-b": {} },
    },
  });
  const ended = await bundle.berth("create", "--bundle", bundle.dir, ...options, bundle.id);
  t.is(ended.code, 1);
  const after = [named(devices(), "nd-a"), named(devices(), "nd-b")];
  for (const at of [0, 1]) {
    const [was, is] = [before[at], after[at]];
    t.deepEqual([is?.ifindex, is?.mtu, is?.master], [was?.ifindex, was?.mtu, was?.master]);
  }
  t.deepEqual(globals(named(after, "nd-a")), permanent);
  t.true(named(after, "nd-a").flags.includes("UP"));
  t.false(named(after, "nd-b").flags.includes("UP"));
  t.deepEqual(bundle.cgroups(), []);
  return ended.stderr;
}

serialKernelTest("a start that fails gives the devices back as they were", async (t) => {
  t.regex(await lentInVain(t, "/bin/missing"), /cannot execute \/bin\/missing/);
});

serialKernelTest("so does one whose pid file cannot be written", async (t) => {
  const said = await lentInVain(t, "/bin/probe", "--pid-file", "/dev/null/pid");
  t.regex(said, /\/dev\/null\/pid/);
});

serialKernelTest("a name that the container's network has is refused, and undone", async (t) => {
  const before = addPair(t);
  const other = await started(t, {
    namespaces: spaces.map((type) => ({ type })),
    netDevices: { "nd-b": { name: "taken" } },
  });
  const bundle = new TestBundle(t);
  bundle.configure(["exit", "0"], {
    linux: {
      namespaces: spaces.map((type) =>
        type === "network" ? { type, path: `/proc/${other}/ns/net` } : { type },
      ),
      netDevices: { "nd-a": { name: "taken" } },
    },
  });
  const ended = await bundle.berth("create", "--bundle", bundle.dir, bundle.id);
  t.is(ended.code, 1);
  t.regex(ended.stderr, /network device nd-a as taken .*EEXIST/);
  t.deepEqual(
    devices(other)
      .map(({ ifname }) => ifname)
      .filter((name) => name === "taken" || name.startsWith("nd-")),
    ["taken"],
  );
  const after = named(devices(), "nd-a");
  t.is(after.ifindex, before.ifindex);
  t.deepEqual(globals(after), permanent);
  t.true(after.flags.includes("UP"));
  t.deepEqual(bundle.cgroups(), []);
});
