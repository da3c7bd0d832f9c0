import { checkEmulation } from "./emulation-fault.ts";
import { vmTest } from "./vm-test.ts";

/** Test files of berth that run in the guest as they run on the host: a pure cgroup v2, and Debian's kernel. */
const suites: readonly {
  readonly name: string;
  readonly files: string;
  readonly often: boolean;
}[] = [
  { name: "processes", files: "test/kernel/process.test.ts", often: true },
  { name: "devices", files: "test/kernel/devices.test.ts", often: true },
  { name: "limits", files: "test/kernel/limits.test.ts", often: false },
  // In three parts: all of it takes an emulated machine longer than a suite may.
  { name: "the OCI command line, from a to o", files: "test/oci/[a-o]*.test.ts", often: false },
  { name: "the OCI command line, from p to r", files: "test/oci/[p-r]*.test.ts", often: false },
  { name: "the OCI command line, from s to z", files: "test/oci/[s-z]*.test.ts", often: false },
  { name: "mounts", files: "test/kernel/mounts.test.ts", often: false },
  { name: "output", files: "test/kernel/output.test.ts", often: false },
  { name: "changed files", files: "test/kernel/reload.test.ts", often: false },
  { name: "adoption", files: "test/kernel/adoption.test.ts", often: false },
  { name: "networks", files: "test/network/*.test.ts", often: false },
];

for (const { name, files, often } of suites) {
  vmTest(`${name}: the kernel tests pass on a pure cgroup v2 host`, { often }, async (t, guest) => {
    // One at a time: together they would all be slower than their own time limits allow.
    const command = `cd /berth && MUST_WORK=1 test/run --serial ${files}`;
    const { code, output } = await guest.try(command, suiteTimeoutMs);
    if (code !== 0 && !hasFailedTest.test(output)) await checkEmulation(guest);
    t.is(code, 0, output);
    t.regex(output, /\d+ tests? passed/);
    t.is(await guest.run("grep -c ' /tmp/bt-' /proc/self/mountinfo || true"), "0");
    t.is(await guest.run("find /sys/fs/cgroup -maxdepth 1 -name 'bt*'"), "");
  });
}

const suiteTimeoutMs = 600_000;
/** Ava's mark of a test that failed, and did not end with its process. */
const hasFailedTest = /✘ \[fail\]/;
