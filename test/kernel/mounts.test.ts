import { execFileSync } from "node:child_process";
import { chownSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LAYER_ID_BASE } from "../../runtime/images/layer-ids.ts";
import { writeOciLayout } from "../builders/oci-layout.ts";
import { kernelTest } from "./kernel-test.ts";
import { execProbe, payloadPath, probeSpec, runToEnd, withRuntime } from "./runtime-harness.ts";

kernelTest("what one container writes to its root, another of the same image does not see", (t) =>
  withRuntime(async ({ runtime }) => {
    const writer = probeSpec(runtime, ["write", "/data/note", "mine"]);
    t.is((await runToEnd(runtime, writer)).exit?.code, 0);
    const reader = await runToEnd(runtime, probeSpec(runtime, ["cat", "/data/note"]));
    t.is(reader.exit?.code, 1);
  }),
);

kernelTest("what a container wrote is still there when it is started again", (t) =>
  withRuntime(async ({ runtime }) => {
    const spec = probeSpec(runtime, ["sleep", "60"]);
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    await execProbe(runtime, spec.id, ["/bin/probe", "write", "/data/note", "mine"]);
    await runtime.stopContainer(spec.id, { graceMs: 0, abort: AbortSignal.timeout(5000) });
    await runtime.startContainer(spec.id);
    const { stdout } = await execProbe(runtime, spec.id, ["/bin/probe", "cat", "/data/note"]);
    t.is(stdout.trim(), "mine");
  }),
);

kernelTest(
  "a volume keeps its data from container to container, owned by shifted ids on disk",
  (t) =>
    withRuntime(async ({ runtime, root }) => {
      await runtime.ensureVolume({ name: "keep", labels: {} });
      const mounts = [
        { type: "volume", volume: "keep", target: "/keep", readOnly: false, copy: true },
      ] as const;
      const written = await runToEnd(
        runtime,
        probeSpec(runtime, ["write", "/keep/note", "kept"], { mounts }),
      );
      t.is(written.exit?.code, 0, written.stderr);
      const read = await runToEnd(runtime, probeSpec(runtime, ["cat", "/keep/note"], { mounts }));
      t.is(read.stdout.trim(), "kept");
      t.is(statSync(join(root, "lib/volumes/keep/_data/note")).uid, LAYER_ID_BASE);
    }),
);

kernelTest("a subpath shows a part of a volume, and no link leads out of it", (t) =>
  withRuntime(async ({ runtime, root }) => {
    await runtime.ensureVolume({ name: "keep", labels: {} });
    const data = join(root, "lib/volumes/keep/_data");
    mkdirSync(join(data, "a/b"), { recursive: true });
    writeFileSync(join(data, "a/b/note"), "part");
    symlinkSync("/etc", join(data, "out"));
    const run = (subpath: string, file: string) =>
      runToEnd(
        runtime,
        probeSpec(runtime, ["cat", file], {
          mounts: [
            { type: "volume", volume: "keep", target: "/v", readOnly: true, copy: false, subpath },
          ],
        }),
      );
    t.is((await run("a/b", "/v/note")).stdout.trim(), "part");
    t.is((await run("a/b/note", "/v")).stdout.trim(), "part");
    await t.throwsAsync(run("a/c", "/v"), { message: /there is no a\/c in the volume keep/ });
    await t.throwsAsync(run("out", "/v"));
    await t.throwsAsync(run("out/passwd", "/v"));
  }),
);

kernelTest("an empty volume is seeded from the image once, with owners and links", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const layout = join(root, "seeded");
    writeOciLayout(layout, [
      {
        reference: "localhost/seeded:test",
        layers: [
          [
            { type: "directory", path: "bin/" },
            { type: "file", path: "bin/probe", content: readFileSync(payloadPath("probe")) },
            { type: "directory", path: "site/" },
            { type: "file", path: "site/index.html", content: Buffer.from("from the image") },
          ],
          [{ type: "symlink", path: "site/link", target: "/etc/passwd" }],
        ],
        config: { Entrypoint: ["/bin/probe"] },
      },
    ]);
    const [image] = await runtime.images.load(layout, { abort: AbortSignal.timeout(10_000) });
    await runtime.ensureVolume({ name: "site", labels: {} });
    const spec = (argv: readonly string[]) =>
      probeSpec(runtime, argv, {
        image: { reference: "localhost/seeded:test", digest: image?.digest ?? "" },
        mounts: [{ type: "volume", volume: "site", target: "/site", readOnly: false, copy: true }],
      });
    const first = await runToEnd(runtime, spec(["cat", "/site/index.html"]));
    t.is(first.stdout, "from the image");
    await runToEnd(runtime, spec(["write", "/site/index.html", "changed"]));
    const second = await runToEnd(runtime, spec(["cat", "/site/index.html"]));
    t.is(second.stdout.trim(), "changed");
  }),
);

kernelTest("a bind mount shows the host's files to the ids they belong to", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const source = join(root, "shared");
    mkdirSync(source);
    writeFileSync(join(source, "of-root"), "host file");
    writeFileSync(join(source, "of-web"), "");
    chownSync(join(source, "of-web"), 1000, 1000);
    const mounts = [
      { type: "bind", source, target: "/host", readOnly: false, createHostPath: false },
    ] as const;
    const seen = await runToEnd(runtime, probeSpec(runtime, ["cat", "/host/of-root"], { mounts }));
    t.is(seen.stdout, "host file", seen.stderr);
    const stat = await runToEnd(runtime, probeSpec(runtime, ["stat", "/host/of-web"], { mounts }));
    t.regex(stat.stdout, /1000/);
    await runToEnd(runtime, probeSpec(runtime, ["touch", "/host/made"], { mounts, user: "1000" }));
    const made = await runToEnd(runtime, probeSpec(runtime, ["touch", "/host/made"], { mounts }));
    t.is(made.exit?.code, 0, made.stderr);
    t.is(statSync(join(source, "made")).uid, 0);
  }),
);

kernelTest("read-only mounts, a read-only root and tmpfs are what they say", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const source = join(root, "shared");
    mkdirSync(source);
    const bind = {
      type: "bind",
      source,
      target: "/host",
      readOnly: true,
      createHostPath: false,
    } as const;
    const tmpfs = {
      type: "tmpfs",
      target: "/scratch",
      sizeBytes: 1_048_576,
      readOnly: false,
    } as const;
    const more = { mounts: [bind, tmpfs], readOnlyRoot: true };
    const write = async (path: string) =>
      (await runToEnd(runtime, probeSpec(runtime, ["touch", path], more))).stderr;
    t.regex(await write("/host/x"), /[Rr]ead-only/);
    t.regex(await write("/data/x"), /[Rr]ead-only/);
    t.is(await write("/scratch/x"), "");
    const mounts = await runToEnd(runtime, probeSpec(runtime, ["mounts"], more));
    t.regex(mounts.stdout, / \/scratch .*size=1024k/);
  }),
);

kernelTest("a bind source that is missing is refused before anything is made", (t) =>
  withRuntime(async ({ runtime }) => {
    const spec = probeSpec(runtime, ["exit", "0"], {
      mounts: [
        {
          type: "bind",
          source: "/no/such/place",
          target: "/x",
          readOnly: false,
          createHostPath: false,
        },
      ],
    });
    await t.throwsAsync(runtime.createContainer(spec), {
      message: /\/no\/such\/place does not exist/,
    });
    t.deepEqual((await runtime.observe()).containers, []);
  }),
);

kernelTest("a volume in use is not removed", (t) =>
  withRuntime(async ({ runtime }) => {
    await runtime.ensureVolume({ name: "busy", labels: {} });
    const spec = probeSpec(runtime, ["sleep", "60"], {
      mounts: [{ type: "volume", volume: "busy", target: "/v", readOnly: false, copy: true }],
    });
    await runtime.createContainer(spec);
    await t.throwsAsync(runtime.removeVolume("busy"), { message: /in use by/ });
    await runtime.removeContainer(spec.id);
    await runtime.removeVolume("busy");
    t.deepEqual((await runtime.observe()).volumes, []);
  }),
);

kernelTest("the container sees nothing of the host's mounts, and proc and sys are masked", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const { stdout } = await runToEnd(runtime, probeSpec(runtime, ["mounts"]));
    t.notRegex(stdout, new RegExp(`${root}/lib/images`));
    t.regex(stdout, / \/proc /);
    t.regex(stdout, / \/sys ro/);
    const kcore = await runToEnd(runtime, probeSpec(runtime, ["cat", "/proc/kcore"]));
    t.is(kcore.stdout, "");
    const sysctl = await runToEnd(
      runtime,
      probeSpec(runtime, ["write", "/proc/sys/kernel/core_pattern", "x"]),
    );
    t.is(sysctl.exit?.code, 1);
    const device = await runToEnd(runtime, probeSpec(runtime, ["ls", "/dev"]));
    t.regex(device.stdout, /null/);
    t.notRegex(device.stdout, /vda|sda|kmsg|mem\b/);
  }),
);

kernelTest("an archive with whiteouts hides what lower layers have", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const layout = join(root, "whiteouts");
    writeOciLayout(layout, [
      {
        reference: "localhost/whiteouts:test",
        layers: [
          [
            { type: "file", path: "bin/probe", content: readFileSync(payloadPath("probe")) },
            { type: "file", path: "gone/file", content: Buffer.from("1") },
            { type: "file", path: "opaque/old", content: Buffer.from("1") },
          ],
          [
            { type: "file", path: "gone/.wh.file", content: Buffer.alloc(0) },
            { type: "file", path: "opaque/.wh..wh..opq", content: Buffer.alloc(0) },
            { type: "file", path: "opaque/new", content: Buffer.from("1") },
          ],
        ],
        config: { Entrypoint: ["/bin/probe"] },
      },
    ]);
    const [image] = await runtime.images.load(layout, { abort: AbortSignal.timeout(10_000) });
    const list = async (dir: string) => {
      const reference = { reference: "localhost/whiteouts:test", digest: image?.digest ?? "" };
      return (await runToEnd(runtime, probeSpec(runtime, ["ls", dir], { image: reference })))
        .stdout;
    };
    t.notRegex(await list("/gone"), /file/);
    t.regex(await list("/opaque"), /new/);
    t.notRegex(await list("/opaque"), /old/);
  }),
);

kernelTest("a mount nested in a bind mount does not appear on the host", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const source = join(root, "shared");
    mkdirSync(join(source, "nested"), { recursive: true });
    await runtime.ensureVolume({ name: "inner", labels: {} });
    // Under systemd every mount is shared.
    execFileSync("mount", ["--bind", source, source]);
    execFileSync("mount", ["--make-shared", source]);
    try {
      const mounts = [
        { type: "bind", source, target: "/outer", readOnly: false, createHostPath: false },
        { type: "volume", volume: "inner", target: "/outer/nested", readOnly: false, copy: false },
      ] as const;
      const spec = probeSpec(runtime, ["sleep", "60"], { mounts });
      await runtime.createContainer(spec);
      await runtime.startContainer(spec.id);
      const seen = await execProbe(runtime, spec.id, ["/bin/probe", "mounts"]);
      t.true(seen.stdout.includes(" /outer/nested "));
      t.false(readFileSync("/proc/self/mountinfo", "utf8").includes(`${source}/nested`));
    } finally {
      execFileSync("umount", ["--recursive", "--lazy", source]);
    }
  }),
);
