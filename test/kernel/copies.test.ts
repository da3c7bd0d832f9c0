import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerSpec } from "../../runtime/container-spec.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { buildTar } from "../builders/tar.ts";
import { copyIn, copyOut, openCopyIn } from "./copied.ts";
import { kernelTest } from "./kernel-test.ts";
import { eventually, execProbe, probeSpec, runToEnd, withRuntime } from "./runtime-harness.ts";

const sleeper = ["sleep", "60000"];
const file = (path: string, content: string) =>
  ({ type: "file", path, content: Buffer.from(content), mode: 0o640 }) as const;

async function startSleeper(runtime: Runtime, more: Partial<ContainerSpec> = {}): Promise<string> {
  const spec = probeSpec(runtime, sleeper, more);
  await runtime.createContainer(spec);
  await runtime.startContainer(spec.id);
  return spec.id;
}

kernelTest("a copy sees the mounts of a running container: volumes, binds and tmpfs", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const source = join(root, "shared");
    mkdirSync(source);
    writeFileSync(join(source, "of-host"), "bound");
    await runtime.ensureVolume({ name: "data", labels: {} });
    const id = await startSleeper(runtime, {
      mounts: [
        { type: "bind", source, target: "/host", readOnly: true, createHostPath: false },
        { type: "volume", volume: "data", target: "/data", readOnly: false, copy: true },
        { type: "tmpfs", target: "/scratch", readOnly: false },
      ],
    });
    t.is((await copyOut(runtime, id, "/host/of-host")).content, "bound");
    for (const place of ["/data", "/scratch", "/"]) {
      const archive = buildTar([file("new", `in ${place}`)]);
      t.deepEqual(await copyIn(runtime, id, place, archive), { code: 0, stderr: "" });
      const path = join(place, "new");
      t.is((await execProbe(runtime, id, ["/bin/probe", "cat", path])).stdout, `in ${place}`);
      t.is((await copyOut(runtime, id, path)).content, `in ${place}`);
    }
    const refused = await copyIn(runtime, id, "/host", buildTar([file("new", "x")]));
    t.is(refused.code, 1);
    t.regex(
      refused.stderr,
      /^cannot copy new because it cannot be made \(Read-only file system\)$/m,
    );
    t.deepEqual(readdirSync(source), ["of-host"]);
  }),
);

kernelTest("a read-only root takes no copy, its writable mounts do", (t) =>
  withRuntime(async ({ runtime }) => {
    const id = await startSleeper(runtime, {
      readOnlyRoot: true,
      mounts: [{ type: "tmpfs", target: "/scratch", readOnly: false }],
    });
    const archive = buildTar([file("new", "x")]);
    t.regex((await copyIn(runtime, id, "/", archive)).stderr, /Read-only file system/);
    t.is((await copyIn(runtime, id, "/scratch", archive)).code, 0);
  }),
);

kernelTest("a container that does not run gives and takes copies, its volumes included", (t) =>
  withRuntime(async ({ runtime }) => {
    await runtime.ensureVolume({ name: "data", labels: {} });
    const mounts = [
      { type: "volume", volume: "data", target: "/data", readOnly: false, copy: true },
      { type: "tmpfs", target: "/scratch", readOnly: false },
    ] as const;
    const spec = probeSpec(runtime, ["cat", "/etc/new", "/data/new"], { mounts });
    await runtime.createContainer(spec);
    t.is((await copyIn(runtime, spec.id, "/etc", buildTar([file("new", "one")]))).code, 0);
    t.is((await copyIn(runtime, spec.id, "/data", buildTar([file("new", "two")]))).code, 0);
    const lost = await copyIn(runtime, spec.id, "/scratch", buildTar([file("new", "three")]));
    t.regex(lost.stderr, /Read-only file system/);
    await runtime.startContainer(spec.id);
    await eventually(async () => {
      const { containers } = await runtime.observe();
      return containers[0]?.state === "exited" ? true : undefined;
    }, "the end");
    const { list, content } = await copyOut(runtime, spec.id, "/etc/new");
    t.is(content, "one");
    t.regex(list, /^-rw-r----- 0\/0 +3 .* \.$/m);
    t.is((await copyOut(runtime, spec.id, "/data/new")).content, "two");
  }),
);

kernelTest("the start of a container ends what is copied to its resting file system", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const spec = probeSpec(runtime, sleeper);
    await runtime.createContainer(spec);
    const session = await openCopyIn(runtime, spec.id, "/");
    session.stdin.write(buildTar([file("begun", "x".repeat(100_000))]).subarray(0, 50_000));
    await runtime.startContainer(spec.id);
    t.is((await session.exit).signal, 9);
    t.deepEqual(readdirSync(join(root, "run", "copies")), []);
    t.is((await execProbe(runtime, spec.id, ["/bin/probe", "ls", "/bin"])).exit.code, 0);
  }),
);

kernelTest("several copies share the resting file system, which is gone after the last", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const spec = probeSpec(runtime, sleeper);
    await runtime.createContainer(spec);
    const names = ["a", "b", "c", "d"];
    const done = await Promise.all(
      names.map((name) => copyIn(runtime, spec.id, "/", buildTar([file(name, name)]))),
    );
    t.deepEqual(
      done.map(({ code }) => code),
      [0, 0, 0, 0],
    );
    const isGone = () => (readdirSync(join(root, "run", "copies")).length === 0 ? true : undefined);
    await eventually(isGone, "the end of the resting file system");
    for (const name of names) t.is((await copyOut(runtime, spec.id, `/${name}`)).content, name);
  }),
);

kernelTest("what an agent that was killed had mounted for a copy is gone with the next", (t) =>
  withRuntime(async ({ runtime, root, reopen }) => {
    const spec = probeSpec(runtime, sleeper);
    await runtime.createContainer(spec);
    const session = await openCopyIn(runtime, spec.id, "/");
    const status = readFileSync(`/proc/${session.pid}/status`, "utf8");
    t.regex(status, /^Seccomp:\t2$/m);
    t.regex(status, /^NoNewPrivs:\t1$/m);
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETFCAP.
    t.regex(status, /^CapBnd:\t000000008000001b$/m);
    t.is(readdirSync(join(root, "run", "copies")).length, 1);
    const next = await reopen();
    t.deepEqual(readdirSync(join(root, "run", "copies")), []);
    t.false(existsSync(`/proc/${session.pid}`));
    t.is((await copyIn(next, spec.id, "/", buildTar([file("x", "y")]))).code, 0);
  }),
);

kernelTest("a paused container can be copied from, and says why not to", (t) =>
  withRuntime(async ({ runtime }) => {
    const id = await startSleeper(runtime);
    await copyIn(runtime, id, "/", buildTar([file("there", "before")]));
    await runtime.pauseContainer(id);
    t.is((await copyOut(runtime, id, "/there")).content, "before");
    await t.throwsAsync(openCopyIn(runtime, id, "/"), { message: /is paused: unpause it first$/ });
    await runtime.unpauseContainer(id);
  }),
);

kernelTest("directories are sent with links, modes, owners and several names of one file", (t) =>
  withRuntime(async ({ runtime }) => {
    const id = await startSleeper(runtime);
    const archive = buildTar([
      { type: "directory", path: "tree", mode: 0o750 },
      { ...file("tree/tool", "run me"), mode: 0o4755 },
      { type: "symlink", path: "tree/link", target: "/nowhere" },
      { type: "fifo", path: "tree/pipe" },
      file(`tree/${"long".repeat(20)}`, "x"),
    ]);
    t.deepEqual(await copyIn(runtime, id, "/", archive), { code: 0, stderr: "" });
    const { list, content } = await copyOut(runtime, id, "/tree", { entryName: "tree" });
    t.regex(list, /^drwxr-x--- 0\/0 .* tree\/$/m);
    t.regex(list, /^-rwsr-xr-x 0\/0 .* tree\/tool$/m);
    t.regex(list, /^lrwxrwxrwx 0\/0 .* tree\/link -> \/nowhere$/m);
    t.regex(list, /^prwx.* tree\/pipe$/m);
    t.true(content.includes("run me"));
    const link = await copyOut(runtime, id, "/tree/link");
    t.regex(link.list, /^l/);
    t.regex((await copyOut(runtime, id, "/tree/link", { followLink: true })).stderr, /be found/);
    t.regex((await copyOut(runtime, id, "/missing")).stderr, /^cannot copy \/missing because/);
  }),
);

kernelTest("the whole root is sent without what the kernel makes up", (t) =>
  withRuntime(async ({ runtime }) => {
    const id = await startSleeper(runtime);
    const { code, list, stderr } = await copyOut(runtime, id, "/");
    t.is(code, 0, stderr);
    t.regex(list, / \.\/proc\/$/m);
    t.notRegex(list, / \.\/proc\/./);
    t.notRegex(list, / \.\/sys\/./);
    t.regex(list, /^c.* \.\/dev\/null$/m);
    t.regex((await copyOut(runtime, id, "/proc/cpuinfo")).stderr, /the kernel makes it up/);
  }),
);

kernelTest("a copy ends at its limits of bytes and entries", (t) =>
  withRuntime(async ({ runtime }) => {
    const id = await startSleeper(runtime);
    const archive = buildTar([file("a", "x".repeat(1000)), file("b", "x".repeat(1000))]);
    const bytes = await copyIn(runtime, id, "/", archive, { bytesMax: 1500 });
    t.regex(bytes.stderr, /^cannot copy b because with it there are more than the limit of 1500/);
    const entries = await copyIn(runtime, id, "/", archive, { entriesMax: 1 });
    t.regex(entries.stderr, /more than the limit of 1 entries/);
    t.is((await copyIn(runtime, id, "/", archive)).code, 0);
    t.regex((await copyOut(runtime, id, "/b", { bytesMax: 999 })).stderr, /limit of 999 bytes/);
    t.regex((await copyOut(runtime, id, "/", { entriesMax: 2 })).stderr, /limit of 2 entries/);
  }),
);

kernelTest("what is copied belongs to the container's root, whom the host does not know", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const spec = probeSpec(runtime, ["stat", "/new"]);
    await runtime.createContainer(spec);
    const archive = buildTar([{ ...file("new", "x"), mode: 0o4755 }]);
    t.is((await copyIn(runtime, spec.id, "/", archive)).code, 0);
    const onDisk = statSync(join(root, "lib", "containers", spec.id, "rootfs", "upper", "new"));
    t.true(onDisk.uid > 65_535);
    t.regex((await runToEnd(runtime, spec)).stdout, /\b0\b/);
  }),
);

kernelTest("containers with the host's ids or processes give and take copies like others", (t) =>
  withRuntime(async ({ runtime }) => {
    const kinds: readonly Partial<ContainerSpec>[] = [
      { security: { privileged: true } },
      { namespaces: { user: "host" } },
      { namespaces: { pid: "host" } },
      { namespaces: { network: "host", ipc: "host", uts: "host" } },
    ];
    for (const kind of kinds) {
      const spec = probeSpec(runtime, sleeper, kind);
      await runtime.createContainer(spec);
      for (const name of ["resting", "running"]) {
        if (name === "running") await runtime.startContainer(spec.id);
        const put = await copyIn(runtime, spec.id, "/tmp", buildTar([file(name, name)]));
        t.deepEqual(put, { code: 0, stderr: "" }, JSON.stringify(kind));
        t.is((await copyOut(runtime, spec.id, `/tmp/${name}`)).content, name);
      }
    }
  }),
);
