import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TarEntry } from "../builders/tar.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { execProbe, runToEnd } from "../kernel/runtime-harness.ts";
import { withHostileImage } from "./hostile-image.ts";

const link = (path: string, target: string): TarEntry => ({ type: "symlink", path, target });
const file = (path: string, text: string): TarEntry => ({
  type: "file",
  path,
  content: Buffer.from(text),
  mode: 0o644,
});

kernelTest(
  "CVE-2026-41579, CVE-2026-47766: links at /dev, /proc and /sys are not followed to the host",
  (t) => {
    // What the links lead to is there, and open to everybody: were they followed, the mounts would go there.
    const outside = mkdtempSync(join(tmpdir(), "bt-dev-"));
    for (const name of ["", "dev", "proc", "sys"]) {
      mkdirSync(join(outside, name), { recursive: true });
      chmodSync(join(outside, name), 0o777);
    }
    const names = ["dev", "proc", "sys"] as const;
    const layer = names.map((name) => link(name, join(outside, name)));
    t.teardown(() => rmSync(outside, { recursive: true, force: true }));
    return withHostileImage({ layer }, async ({ runtime, spec }) => {
      const { stdout } = await runToEnd(runtime, spec(["cat", "/proc/self/uid_map"]));
      t.regex(stdout, /^\s*0\s+[1-9]/, "it is the container's own /proc that the link leads to");
      const nodes = await runToEnd(runtime, spec(["ls", "/dev"]));
      t.regex(nodes.stdout, /null/);
      for (const name of names) t.deepEqual(readdirSync(join(outside, name)), [], name);
    });
  },
);

kernelTest("CVE-2025-31133: a link at /proc or /sys does not keep the masks away", (t) =>
  withHostileImage(
    { layer: [link("proc", "/p"), link("sys", "/s")] },
    async ({ runtime, spec }) => {
      for (const path of ["/proc/keys", "/p/keys", "/proc/timer_list", "/p/timer_list"]) {
        t.like(await runToEnd(runtime, spec(["cat", path])), { stdout: "", stderr: "" }, path);
      }
      for (const path of ["/proc/sys/kernel/hostname", "/p/sys/kernel/hostname"]) {
        const { stderr } = await runToEnd(runtime, spec(["write", path, "x"]));
        t.regex(stderr, /[Rr]ead-only/, path);
      }
      t.is((await runToEnd(runtime, spec(["ls", "/s/firmware"]))).stdout, "");
    },
  ),
);

kernelTest(
  "CVE-2025-31133: masks bind the real null device, whatever the image has in its place",
  (t) => {
    const layer: TarEntry[] = [
      { type: "directory", path: "dev/" },
      file("dev/null", "of the image"),
      file("dev/zero", "of the image"),
      link("dev/full", "/proc/sysrq-trigger"),
    ];
    return withHostileImage({ layer }, async ({ runtime, spec }) => {
      const keys = await runToEnd(runtime, spec(["stat", "/proc/keys"]));
      const real = await runToEnd(runtime, spec(["stat", "/dev/null"]));
      t.regex(real.stdout, /1[:,]3\b/, real.stdout);
      t.regex(keys.stdout, /1[:,]3\b/, keys.stdout);
      t.is((await runToEnd(runtime, spec(["cat", "/proc/keys"]))).stdout, "");
    });
  },
);

kernelTest("CVE-2025-31133: a node of the host that is not the null device is refused", (t) =>
  withHostileImage({ layer: [] }, async ({ runtime, spec }) => {
    // What the swap comes to, made where it can be: the check is on the descriptor that is mounted later.
    const { Program } = await import("../../runtime/program/program.ts");
    const { Launcher } = await import("../../runtime/helper/launcher.ts");
    const { helperPath } = await import("../../runtime/helper/helper-path.ts");
    t.truthy(runtime);
    t.truthy(spec);
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const launcher = new Launcher({ helperPath, log });
    try {
      const nullDevice = { rdev: 0x103n, fileType: 0o020_000 };
      const open = (path: string) => {
        const program = new Program();
        return launcher.run(program.openTree(program.slot(), path, nullDevice).finish());
      };
      await t.notThrowsAsync(open("/dev/null"));
      await t.throwsAsync(open("/dev/zero"));
      await t.throwsAsync(open("/etc/passwd"));
    } finally {
      await launcher.close();
    }
  }),
);

kernelTest("CVE-2025-52565: a terminal's console is not put through a link of the image", (t) => {
  const layer: TarEntry[] = [
    { type: "directory", path: "dev/" },
    link("dev/console", "/etc/victim"),
    link("dev/ptmx", "/etc/victim"),
    link("dev/pts", "/etc"),
    file("etc/victim", "untouched"),
  ];
  return withHostileImage({ layer }, async ({ runtime, spec }) => {
    const container = spec(["sleep", "60"], { tty: true });
    await runtime.createContainer(container);
    await runtime.startContainer(container.id);
    const victim = await execProbe(runtime, container.id, ["/bin/probe", "cat", "/etc/victim"]);
    t.is(victim.stdout, "untouched");
    const console = await execProbe(runtime, container.id, ["/bin/probe", "stat", "/dev/console"]);
    t.regex(console.stdout, /\b136[:,]/, console.stdout);
  });
});

kernelTest(
  "CVE-2021-30465, CVE-2025-9566, CVE-2022-23648: a mount whose target is a link of the image stays inside",
  (t) =>
    withHostileImage(
      {
        layer: [
          link("escape", "/../../../../../../tmp"),
          link("data/up", "../../../../../../../../tmp"),
          link("absolute", "/etc"),
          link("magic", "/proc/self/root/tmp"),
        ],
      },
      async ({ runtime, root, spec }) => {
        const source = join(root, "source");
        mkdirSync(source);
        writeFileSync(join(source, "inside"), "yes");
        const name = `bt-target-${process.pid}`;
        for (const place of ["escape", "data/up", "absolute", "magic"]) {
          const target = `/${place}/${name}`;
          const mount = { type: "bind", source, target, readOnly: false } as const;
          const container = spec(["cat", `${target}/inside`], {
            mounts: [{ ...mount, createHostPath: false }],
          });
          const outcome = await runToEnd(runtime, container).catch(String);
          if (typeof outcome === "string") t.regex(outcome, /cannot start/, place);
          else t.is(outcome.stdout, "yes", place);
          t.false(existsSync(`/tmp/${name}`), place);
          t.false(existsSync(`/etc/${name}`), place);
        }
      },
    ),
);

kernelTest(
  "CVE-2022-23648: seeding a volume copies nothing of the host through a link of the image",
  async (t) => {
    // A place of its own: without the defence, all of it would be copied.
    const outside = mkdtempSync(join(tmpdir(), "bt-outside-"));
    writeFileSync(join(outside, "key"), "of the host");
    const layer = [link("seed", outside), link("up", `../../../../../..${outside}`)];
    try {
      await withHostileImage({ layer }, async ({ runtime, spec }) => {
        for (const target of ["/seed", "/up"]) {
          const volume = target.slice(1);
          await runtime.ensureVolume({ name: volume, labels: {} });
          const container = spec(["exit", "0"], {
            mounts: [{ type: "volume", volume, target, readOnly: false, copy: true }],
          });
          await runToEnd(runtime, container).catch(() => {});
          const { volumes } = await runtime.observe();
          const path = volumes.find(({ name }) => name === volume)?.path;
          if (path === undefined) throw new Error(`cannot find volume ${volume}`);
          t.deepEqual(readdirSync(path), []);
        }
      });
    } finally {
      rmSync(outside, { recursive: true, force: true });
    }
  },
);

kernelTest(
  "CVE-2026-47262, CVE-2024-9676: a FIFO, an endless file or a link as /etc/passwd holds nothing up",
  (t) =>
    withHostileImage(
      { layer: [{ type: "fifo", path: "etc/passwd" }, link("etc/group", "/proc/self/environ")] },
      async ({ runtime, spec }) => {
        const began = performance.now();
        const { stdout, exit } = await runToEnd(
          runtime,
          spec(["cat", "/proc/self/status"], { user: "1000" }),
        );
        t.is(exit?.code, 0);
        t.regex(stdout, /^Uid:\t1000\t1000\t1000\t1000$/m);
        t.regex(stdout, /^Groups:\t *$/m);
        t.true(performance.now() - began < 10_000);
      },
    ),
);

kernelTest("CVE-2026-47262: a passwd of the image that is a link does not read the host's", (t) => {
  const name = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":")[0] ?? "")
    .find((user) => !["", "root", "nobody", "web"].includes(user));
  const layer = [link("etc/passwd", "/../../../../../../../etc/passwd")];
  return withHostileImage({ layer }, async ({ runtime, spec }) => {
    const container = spec(["exit", "0"], { user: name ?? "daemon" });
    await runtime.createContainer(container);
    await t.throwsAsync(runtime.startContainer(container.id), { message: /no such name/ });
  });
});
