import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { detectCgroups } from "../../runtime/cgroups/cgroup-host.ts";
import { setFrozen } from "../../runtime/cgroups/container-cgroup.ts";
import { cgroupPids, dirsOf, makeCgroup, removeCgroup } from "../../runtime/oci/cgroup-path.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { TestBundle } from "./bundle.ts";

/** A cpuset of v1 begins without processors, and takes nobody then. */
function makeBelow(dir: string): void {
  mkdirSync(dir);
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    if (!dir.includes("/cpuset/")) continue;
    writeFileSync(`${dir}/${file}`, readFileSync(`${dirname(dir)}/${file}`));
  }
}

const own = ["pid", "ipc", "uts", "mount"].map((type) => ({ type }));

serialKernelTest(
  "a container in another's cgroup is told of, and takes nothing of the other with it",
  async (t) => {
    const [first, second] = [new TestBundle(t), new TestBundle(t)];
    const linux = { namespaces: own, cgroupsPath: `/berth-oci-${first.id}` };
    for (const bundle of [first, second]) bundle.configure(["sleep", "100"], { linux });
    await first.create();
    await first.berth("start", first.id);
    await second.create("--pid-file", `${second.dir}/pid`);
    t.regex(readFileSync(`${second.dir}/output`, "utf8"), /warning: .*not empty/);
    t.is((await second.berth("delete", "--force", second.id)).code, 0);
    t.is(await first.status(), "running");

    const hooks = { createRuntime: [{ path: "/bin/false" }] };
    second.configure(["sleep", "100"], { linux, hooks });
    t.is((await second.berth("create", "--bundle", second.dir, second.id)).code, 1);
    t.is(await first.status(), "running");
  },
);

serialKernelTest("a frozen cgroup is refused before anything is made in it", async (t) => {
  const bundle = new TestBundle(t);
  const [host, path] = [detectCgroups(), `/berth-oci-${bundle.id}`];
  makeCgroup(host, path);
  setFrozen(host, path, true);
  try {
    bundle.configure(["exit", "0"], { linux: { namespaces: own, cgroupsPath: path } });
    const refused = await bundle.berth("run", bundle.id);
    t.is(refused.code, 1);
    t.regex(refused.stderr, /frozen/);
    t.false(existsSync(`${bundle.root}/${bundle.id}`));
    t.deepEqual(cgroupPids(dirsOf(host, path)), []);
  } finally {
    setFrozen(host, path, false);
    removeCgroup(dirsOf(host, path));
  }
});

serialKernelTest("exec enters a cgroup below the container's, and no other", async (t) => {
  const bundle = new TestBundle(t);
  bundle.configure(["sleep", "100"]);
  await bundle.create();
  await bundle.berth("start", bundle.id);
  const below = bundle.cgroups().map((dir) => `${dir}/below`);
  for (const dir of below) makeBelow(dir);
  const show = (...options: readonly string[]) =>
    bundle.berth("exec", ...options, bundle.id, "/bin/probe", "cat", "/proc/self/cgroup");
  t.regex((await show("--cgroup", "below")).stdout, /\/below$/m);
  t.notRegex((await show()).stdout, /\/below$/m);
  for (const cgroup of ["..", "below/../..", "none", "none:below"]) {
    const refused = await show("--cgroup", cgroup);
    t.is(refused.code, 255, cgroup);
    t.regex(refused.stderr, /cannot exec in the cgroup/);
  }
  for (const dir of below) rmdirSync(dir);
});
