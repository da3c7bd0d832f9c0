import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { basename } from "node:path";
import { controllerDir, detectCgroups } from "../../runtime/cgroups/cgroup-host.ts";
import { deviceProgram } from "../../runtime/cgroups/device-program.ts";
import { defaultDeviceRules } from "../../runtime/cgroups/device-rules.ts";
import { helperPath } from "../../runtime/helper/helper-path.ts";
import { Launcher } from "../../runtime/helper/launcher.ts";
import { containerDevices } from "../../runtime/plan/default-mounts.ts";
import { Program } from "../../runtime/program/program.ts";
import { kernelTest } from "./kernel-test.ts";
import { probeSpec, withRuntime } from "./runtime-harness.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

kernelTest("a device program on a cgroup2 directory holds even for the host's root", async (t) => {
  const { unified } = detectCgroups();
  if (unified === undefined) {
    t.log("this host mounts no cgroup2");
    t.pass();
    return;
  }
  const directory = `${unified}/bt-vm-${randomBytes(4).toString("hex")}`;
  mkdirSync(directory);
  const launcher = new Launcher({ helperPath, log: silent });
  await launcher.open();
  try {
    t.is(opens(directory, "/dev/kmsg"), "yes", "nothing is refused before");
    const rules = deviceProgram(defaultDeviceRules(containerDevices));
    await launcher.run(new Program().cgroupDevices(directory, rules).finish());
    t.is(opens(directory, "/dev/null"), "yes");
    t.is(opens(directory, "/dev/urandom"), "yes");
    t.is(opens(directory, "/dev/kmsg"), "no");
    t.is(opens(directory, "/dev/mem"), "no");
  } finally {
    await launcher.close();
    rmdirSync(directory);
  }
});

kernelTest("a running container's cgroup has the device allowlist", async (t) => {
  await withRuntime(async ({ runtime, instance }) => {
    const spec = probeSpec(runtime, ["sleep", "1000000"]);
    await runtime.createContainer(spec);
    const { pid } = await runtime.startContainer(spec.id);
    const host = detectCgroups();
    const path = ownCgroup(pid, host.v1.has("devices"));
    t.regex(path, new RegExp(`^/${instance}/`));
    const v1 = controllerDir(host, "devices", path);
    if (v1 !== undefined) {
      const lines = readFileSync(`${v1}/devices.list`, "utf8").trim().split("\n");
      t.is(lines.length, containerDevices.length + 2);
      t.false(lines.some((line) => line.startsWith("a")));
      return;
    }
    t.is(opens(`${host.unified}${path}`, "/dev/null"), "yes");
    t.is(opens(`${host.unified}${path}`, "/dev/kmsg"), "no");
  });
});

/** Whether the host's root, in that cgroup, can open the device. */
function opens(cgroup: string, device: string): string {
  const script = `echo $$ >"$1/cgroup.procs" && if true <"$2"; then echo yes; else echo no; fi`;
  const args = ["-c", script, basename(import.meta.filename), cgroup, device];
  return execFileSync("sh", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
}

function ownCgroup(pid: number, isV1: boolean): string {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n");
  const line = lines.find((text) => (isV1 ? /^\d+:devices:/ : /^0::/).test(text));
  return line?.split(":")[2] ?? "";
}
