import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { gzipSync } from "node:zlib";
import { buildTar, type TarEntry } from "../builders/tar.ts";
import { copyIn, copyOut, openCopyIn } from "../kernel/copied.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { execProbe, payloadPath, probeSpec, withRuntime } from "../kernel/runtime-harness.ts";
import { withHostileImage } from "./hostile-image.ts";

const file = (path: string, text: string) =>
  ({ type: "file", path, content: Buffer.from(text), mode: 0o644 }) as const;
const sleeper = ["sleep", "60000"];

/** A directory of the host that no container may see or change. */
async function withOutside(work: (outside: string) => Promise<void>): Promise<void> {
  const outside = mkdtempSync(join(tmpdir(), "bt-outside-"));
  try {
    writeFileSync(join(outside, "secret"), "of the host");
    await work(outside);
  } finally {
    rmSync(outside, { recursive: true, force: true });
  }
}

/** Makes a name by turns a directory and a link, as fast as it can, until it is ended. */
function startSwapping(path: string, target: string): Worker {
  const code = `
    const fs = require("node:fs");
    const { path, target } = require("node:worker_threads").workerData;
    for (;;) {
      try {
        fs.renameSync(path, path + ".away");
        fs.symlinkSync(target, path);
        fs.unlinkSync(path);
        fs.renameSync(path + ".away", path);
      } catch {}
    }`;
  return new Worker(code, { eval: true, workerData: { path, target } });
}

kernelTest(
  "CVE-2018-15664: a directory that becomes a link while it is copied leads nowhere",
  (t) =>
    withOutside((outside) =>
      withRuntime(async ({ runtime }) => {
        const { path } = await runtime.ensureVolume({ name: "v", labels: {} });
        const mounts = [
          { type: "volume", volume: "v", target: "/v", readOnly: false, copy: false },
        ] as const;
        const spec = probeSpec(runtime, sleeper, { mounts });
        await runtime.createContainer(spec);
        await runtime.startContainer(spec.id);
        await copyIn(runtime, spec.id, "/v", buildTar([file("dir/secret", "of the container")]));
        const swapper = startSwapping(join(path, "dir"), outside);
        try {
          let seen = "";
          for (let round = 0; round < 25; round += 1) {
            seen += (await copyOut(runtime, spec.id, "/v/dir/secret")).content;
            await copyIn(runtime, spec.id, "/v/dir", buildTar([file("planted", "x")]));
          }
          t.notRegex(seen, /of the host/);
          t.deepEqual(readdirSync(outside), ["secret"]);
        } finally {
          await swapper.terminate();
        }
      }),
    ),
);

const programs = ["usr/bin/xz", "usr/bin/gzip", "usr/bin/unpigz", "usr/bin/tar", "bin/sh"];
const libraries = ["libnss_files.so.2", "libnss_compat.so.2", "libc.so.6"];

/** What a copier of another engine would run or load out of the container. */
function trap(): readonly TarEntry[] {
  const content = readFileSync(payloadPath("probe"));
  return [
    ...programs.map((path) => ({ type: "file", path, content, mode: 0o755 }) as const),
    ...libraries.map((name) => ({ ...file(`lib/${name}`, "x"), content })),
    ...libraries.map((name) => ({ ...file(`lib/x86_64-linux-gnu/${name}`, "x"), content })),
    file("etc/nsswitch.conf", "passwd: files compat\n"),
    file("etc/ld.so.preload", "/lib/libnss_files.so.2\n"),
  ];
}

kernelTest(
  "CVE-2019-14271: who copies has mapped the sealed helper, and no file of the container",
  (t) =>
    withHostileImage({ layer: trap() }, async ({ runtime, spec }) => {
      const container = spec(sleeper);
      await runtime.createContainer(container);
      await runtime.startContainer(container.id);
      const session = await openCopyIn(runtime, container.id, "/tmp");
      session.stdin.write(buildTar([file("first", "x")]).subarray(0, 1024));
      const maps = readFileSync(`/proc/${session.pid}/maps`, "utf8");
      const mapped = maps.split("\n").flatMap((line) => / (\/.*)$/.exec(line)?.[1] ?? []);
      t.true(mapped.length > 0);
      t.true(
        mapped.every((path) => path.startsWith("/memfd:")),
        mapped.join(" "),
      );
      t.regex(readlinkSync(`/proc/${session.pid}/exe`), /memfd:/);
      const open = readdirSync(`/proc/${session.pid}/fd`).length;
      t.true(open <= 5, `${open} descriptors`);
      session.close();
    }),
);

kernelTest("CVE-2026-41567: a compressed archive is decompressed by nobody", (t) =>
  withHostileImage({ layer: trap() }, async ({ runtime, spec }) => {
    const container = spec(sleeper);
    await runtime.createContainer(container);
    const archive = gzipSync(buildTar([file("new", "x")]));
    for (const isRunning of [false, true]) {
      if (isRunning) await runtime.startContainer(container.id);
      const { code, stderr } = await copyIn(runtime, container.id, "/tmp", archive);
      t.is(code, 1);
      t.regex(stderr, /archive/);
    }
    t.is((await execProbe(runtime, container.id, ["/bin/probe", "ls", "/tmp"])).stdout, "");
  }),
);

kernelTest("CVE-2026-42306: a copy from a running container mounts nothing", (t) =>
  withRuntime(async ({ runtime }) => {
    await runtime.ensureVolume({ name: "v", labels: {} });
    const mounts = [
      { type: "volume", volume: "v", target: "/v", readOnly: false, copy: false },
    ] as const;
    const spec = probeSpec(runtime, sleeper, { mounts });
    await runtime.createContainer(spec);
    const { pid } = await runtime.startContainer(spec.id);
    const read = () => readFileSync(`/proc/${pid}/mountinfo`, "utf8");
    const before = read();
    const session = await openCopyIn(runtime, spec.id, "/v");
    t.is(readlinkSync(`/proc/${session.pid}/ns/mnt`), readlinkSync(`/proc/${pid}/ns/mnt`));
    t.is(readlinkSync(`/proc/${session.pid}/ns/user`), readlinkSync(`/proc/${pid}/ns/user`));
    t.is(readlinkSync(`/proc/${session.pid}/ns/pid`), readlinkSync(`/proc/${pid}/ns/pid`));
    t.is(read(), before);
    session.close();
  }),
);

kernelTest(
  "CVE-2026-42306: a volume whose place the image makes a link is not mounted outside",
  (t) =>
    withOutside((outside) => {
      const layer: TarEntry[] = [{ type: "symlink", path: "v", target: outside }];
      return withHostileImage({ layer }, async ({ runtime, spec }) => {
        await runtime.ensureVolume({ name: "v", labels: {} });
        const volume = { type: "volume", volume: "v", readOnly: false, copy: false } as const;
        const mounts = [
          { ...volume, target: "/v" },
          { ...volume, target: "/v/deeper/still" },
        ];
        const container = spec(sleeper, { mounts });
        await runtime.createContainer(container);
        const hostMounts = readFileSync("/proc/self/mountinfo", "utf8");
        t.is((await copyIn(runtime, container.id, "/v", buildTar([file("new", "x")]))).code, 0);
        t.is(readFileSync("/proc/self/mountinfo", "utf8"), hostMounts);
        t.deepEqual(readdirSync(outside), ["secret"]);
      });
    }),
);

kernelTest("links of an archive lead where they lead for the container", (t) =>
  withOutside((outside) =>
    withRuntime(async ({ runtime, root }) => {
      const spec = probeSpec(runtime, sleeper);
      await runtime.createContainer(spec);
      const archive = buildTar([
        { type: "symlink", path: "esc", target: outside },
        file("esc/planted", "x"),
        { type: "symlink", path: "up", target: "../../../../../.." },
        file("up/planted", "x"),
      ]);
      t.is((await copyIn(runtime, spec.id, "/tmp", archive)).code, 0);
      t.deepEqual(readdirSync(outside), ["secret"]);
      const upper = join(root, "lib", "containers", spec.id, "rootfs", "upper");
      t.true(existsSync(join(upper, outside, "planted")));
      t.true(existsSync(join(upper, "planted")));
      const dotdot = await copyIn(runtime, spec.id, "/tmp", buildTar([file("../x", "y")]));
      t.regex(dotdot.stderr, /a path with \.\. is refused/);
    }),
  ),
);

kernelTest("a FIFO that takes the place of a file holds no copy up", (t) =>
  withRuntime(async ({ runtime }) => {
    const spec = probeSpec(runtime, sleeper);
    await runtime.createContainer(spec);
    const archive = buildTar([{ type: "fifo", path: "tree/pipe" }, file("tree/file", "x")]);
    t.is((await copyIn(runtime, spec.id, "/", archive)).code, 0);
    const { code, list, content } = await copyOut(runtime, spec.id, "/tree");
    t.is(code, 0);
    t.regex(list, /^p.*pipe$/m);
    t.is(content, "x");
    t.regex((await copyOut(runtime, spec.id, "/tree/pipe")).stderr, /a file, a directory or/);
  }),
);
