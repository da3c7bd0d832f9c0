import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { syscallNumbers } from "../../runtime/seccomp/syscall-numbers.ts";
import { kernelTest, missingPart } from "../kernel/kernel-test.ts";
import { probeSpec, runToEnd, withRuntime } from "../kernel/runtime-harness.ts";
import { missingPeer, openPeer, type Peer } from "./engine-peers.ts";
import { readSurface, type Surface, section, weakerLines } from "./surface.ts";

const probes = [
  ["probe-surface", "look"],
  ["probe-surface", "calls"],
  ["probe-kernel", "all"],
] as const;

kernelTest("the surface of a default container is exactly what is written down here", async (t) => {
  const surface = await ownSurface(t);
  const reached = (prefix: string) =>
    [...section(surface, prefix)].filter(([, value]) => value === "ok").map(([name]) => name);
  t.deepEqual(reached("socket."), ["1", "2", "10", "16"]);
  t.deepEqual(reached("netlink."), ["0", "4", "15", "16"]);
  for (const prefix of ["unshare.", "clone.", "mknod.", "opens.", "oom."]) {
    t.deepEqual(reached(prefix), [], prefix);
  }
  t.deepEqual([...section(surface, "node.").values()].toSorted(), [
    "c1:3",
    "c1:5",
    "c1:7",
    "c1:8",
    "c1:9",
    "c5:0",
    "c5:2",
  ]);
  // Pressure triggers count against the process that sets them; every user of a host may.
  const writable = [...section(surface, "writable.").keys()];
  t.deepEqual(
    writable.filter((path) => !path.startsWith("/proc/pressure/")),
    [],
  );
  for (const [path, sight] of section(surface, "sees.")) {
    if (sight === "visible") t.true(harmlessSights.has(path), path);
  }
  t.is(surface.get("status.CapBnd"), "00000000800405fb");
  t.is(surface.get("status.CapInh"), "0".repeat(16));
  t.is(surface.get("status.CapAmb"), "0".repeat(16));
  t.is(surface.get("status.Seccomp"), "2");
  t.is(surface.get("ids.count"), "65536");
  t.not(surface.get("ids.root"), "0");
  t.is(surface.get("limit.core"), "off");
  t.is(surface.get("cgroup.path"), "own");
  t.is(surface.get("cgroup.mkdir"), "no");
});

for (const name of ["podman", "docker"] as const) {
  const title = `a default container is weaker than one of ${name} in no line of what it can see and do`;
  const missing = missingPart() ?? missingPeer(name);
  if (missing === undefined) test.serial(title, (t) => compareWith(t, name));
  else test.skip(`${title} (${missing})`, () => {});
}

async function compareWith(t: ExecutionContext, name: Peer["name"]): Promise<void> {
  const own = await ownSurface(t);
  const scratch = mkdtempSync(join(tmpdir(), "bt-surface-"));
  try {
    const theirs = readSurface(await peerSurface(name, scratch));
    t.true(theirs.size > 500, "the peer's probe printed too little");
    const exceptions = newerCalls();
    const weaker = weakerLines(own, theirs).filter(
      (line) => !exceptions.has(line.slice(0, line.indexOf(":"))),
    );
    t.deepEqual(weaker, []);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function peerSurface(name: Peer["name"], scratch: string): Promise<string> {
  const peer = await openPeer(name, scratch);
  try {
    let text = "";
    for (const [program, argument] of probes) text += await peer.probe(program, argument);
    return text;
  } finally {
    await peer.close();
  }
}

async function ownSurface(t: ExecutionContext): Promise<Surface> {
  let text = "";
  await withRuntime(async ({ runtime }) => {
    for (const [program, argument] of probes) {
      const spec = probeSpec(runtime, [argument], { entrypoint: [`/bin/${program}`] });
      const { exit, stdout, stderr } = await runToEnd(runtime, spec);
      t.is(exit?.code, 0, stderr);
      text += stdout;
    }
  });
  return readSurface(text);
}

/** They hold nothing of other containers: empty tables, addresses read as zero, and the container's own first process. */
const harmlessSights = new Set([
  "/proc/bus/pci/devices",
  "/proc/config.gz",
  "/proc/driver",
  "/proc/iomem",
  "/proc/ioports",
  "/proc/kallsyms",
  "/proc/key-users",
  "/proc/modules",
  "/proc/schedstat",
  "/proc/softirqs",
  "/proc/sys/kernel/random/entropy_avail",
  "/proc/1/environ",
  "/proc/1/mem",
  "/sys/kernel/notes",
]);

/**
 * Calls that Debian's engines refuse because their profiles are older than the calls, or than the kernel that made them
 * safe. Every one is in the default profile of today's moby, for the reason beside it.
 */
const callsOfNewerProfiles: Readonly<Record<string, string>> = {
  cachestat: "tells of pages of a file that is open, as mincore does",
  fchmodat2: "fchmodat with flags",
  futex_requeue: "futex in parts",
  futex_wait: "futex in parts",
  futex_waitv: "futex in parts",
  futex_wake: "futex in parts",
  getxattrat: "getxattr beside a descriptor",
  io_pgetevents: "io_getevents with a signal mask",
  listmount: "what /proc/self/mountinfo tells",
  listxattrat: "listxattr beside a descriptor",
  map_shadow_stack: "memory that only returns may use",
  mseal: "takes rights away from memory, and never gives any",
  name_to_handle_at: "names a file; opening by that name is refused",
  personality: "asks for the personality; none but harmless ones can be taken",
  pkey_alloc: "takes rights away from memory, and never gives any",
  pkey_free: "undoes pkey_alloc",
  pkey_mprotect: "mprotect with such a key",
  process_vm_readv: "ptrace's rights are asked for, as from Linux 4.8 on for a filtered tracer",
  process_vm_writev: "as process_vm_readv",
  removexattrat: "removexattr beside a descriptor",
  setxattrat: "setxattr beside a descriptor",
  statmount: "what /proc/self/mountinfo tells",
};

function newerCalls(): ReadonlySet<string> {
  const numbers = syscallNumbers(process.arch === "arm64" ? "aarch64" : "x86_64");
  const names = Object.keys(callsOfNewerProfiles);
  // probe-kernel's own names for two of them.
  return new Set([...names.map((name) => `call.${numbers.get(name)}`), "process-vm-readv"]);
}
