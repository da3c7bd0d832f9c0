import { execFile } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import type { ExecutionContext } from "ava";
import type { Image } from "../../runtime/images/image-store.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { type Bench, execProbe, payloadSpec, withRuntime } from "../kernel/runtime-harness.ts";
import { hasTool } from "../kernel/with-tool.ts";
import { soon } from "./store-harness.ts";

const run = promisify(execFile);

/** A root file system with a shell, and something to change in it. */
async function busyboxRoot(root: string): Promise<string> {
  const tree = join(root, "rootfs");
  const script = `
    set -e
    mkdir -p "$1" && cd "$1"
    mkdir -p bin etc tmp usr/lib dir/sub replaced proc sys dev
    cp "$(command -v busybox)" bin/busybox && ln -s busybox bin/sh
    chmod 1777 tmp
    echo root:x:0:0::/:/bin/sh >etc/passwd
    echo gone >usr/lib/gone && echo stays >usr/lib/stays && echo old >replaced/old
    echo inner >dir/sub/inner
    tar --numeric-owner --owner=0 --group=0 -czf "$2" .
  `;
  const archive = join(root, "rootfs.tar.gz");
  await run("sh", ["-c", script, "sh", tree, archive]);
  return archive;
}

async function started(runtime: Runtime, image: Image) {
  const spec = payloadSpec(runtime, "probe", ["sleep", "600"], {
    image: { reference: image.references[0] ?? "", digest: image.digest },
    entrypoint: ["/bin/busybox"],
  });
  await runtime.createContainer(spec);
  await runtime.startContainer(spec.id);
  const sh = async (script: string) => {
    const { stdout, stderr, exit } = await execProbe(runtime, spec.id, ["/bin/sh", "-c", script]);
    if (exit.code !== 0) throw new Error(`${script}: ${stderr}`);
    return stdout;
  };
  return { spec, sh };
}

/** Kind, mode, owner, size, time and links of all that is not mounted; times of what a start writes to left out. */
const listing = `busybox find / -xdev ! -type d -exec busybox stat -c '%n %a %u:%g %F %s %Y %h %t:%T' {} + |
  busybox grep -v '^/etc/\\(hosts\\|hostname\\|resolv.conf\\) ' | busybox sort
  busybox find / -xdev -type d ! -path /etc ! -path / ! -path /dev ! -path /proc ! -path /sys \
    -exec busybox stat -c '%n %a %u:%g %Y' {} + | busybox sort
  busybox find / -xdev -type l -exec busybox readlink {} + | busybox sort
  busybox find /made /usr /replaced -type f | busybox sort | busybox xargs busybox sha256sum`;

const changes = `set -e
  PATH=/bin; b=busybox
  $b rm /usr/lib/gone
  $b rm -r /replaced && $b mkdir /replaced && echo new >/replaced/new
  $b mkdir /made && cd /made
  echo plain >plain && $b chown 1234:4321 plain && $b chmod 4755 plain
  $b ln plain again && $b ln plain /usr/lib/elsewhere
  $b ln -s ../usr/lib/stays link && $b mkfifo fifo
  $b mknod null c 1 3 2>/dev/null || true
  echo x >"$($b printf '%0200d' 7)"
  $b mkdir -p "$($b printf '%0100d' 1)/$($b printf '%0100d' 2)"
  $b dd if=/dev/zero of=big bs=65536 count=40 2>/dev/null
  $b touch -d '2001-02-03 04:05:06' big
  $b chown -R 65534:65534 /dir
  $b rm /dir/sub/inner`;

async function save(source: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  await pipeline(Readable.from(source), createWriteStream(path));
}

kernelTest("a committed container and an exported one become images with the very same tree", (t) =>
  withBusybox(t, async ({ runtime, root }, image) => {
    t.deepEqual(image.config.command, ["sh"]);
    const first = await started(runtime, image);
    await first.sh(changes);
    const before = await first.sh(listing);
    const committed = await runtime.commitContainer(first.spec.id, {
      reference: "own/committed:1",
      changes: ['LABEL kind="made here"', "ENV A=1"],
      author: "you",
      message: "as it is",
      pause: true,
      abort: soon(),
    });
    t.deepEqual(committed.references, ["docker.io/own/committed:1"]);
    t.like(committed.config, {
      entrypoint: ["/bin/busybox"],
      command: ["sleep", "600"],
      env: ["A=1"],
      labels: { kind: "made here" },
    });
    t.is(committed.layerDirs[0], image.layerDirs[0]);
    t.is(committed.layerDirs.length, 2);
    const details = await runtime.images.describe(committed.digest);
    t.like(details, { author: "you", origin: "local" });
    t.like(details?.history[1], { createdBy: "/bin/busybox sleep 600", comment: "as it is" });
    const second = await started(runtime, committed);
    t.is(await second.sh(listing), before);
    const tar = join(root, "export.tar");
    await save(runtime.exportContainer(first.spec.id, { pause: false, abort: soon() }), tar);
    const exported = await runtime.images.importRoot(tar, { changes: [], abort: soon() });
    const third = await started(runtime, exported);
    t.is(await third.sh(listing), before);
    const { stdout } = await run("tar", ["-tvf", tar, "--numeric-owner"]);
    t.regex(stdout, /^-rwsr-xr-x 1234\/4321 .* made\/again$/m);
    t.regex(stdout, / made\/plain link to made\/again$/m);
    t.regex(stdout, /^drwxr-xr-x 0\/0 .* proc\/$/m);
    t.notRegex(stdout, /\.wh\.|gone|proc\/1/);
  }),
);

kernelTest("a stopped container is exported and committed too, and the same one twice alike", (t) =>
  withBusybox(t, async ({ runtime }, image) => {
    const { spec, sh } = await started(runtime, image);
    await sh("echo kept >/tmp/kept");
    await runtime.stopContainer(spec.id, { graceMs: 0, abort: soon() });
    const commit = () =>
      runtime.commitContainer(spec.id, { changes: [], pause: true, abort: soon() });
    const [one, other] = [await commit(), await commit()];
    t.is(one.layerDigests[1], other.layerDigests[1]);
    t.is(readFileSync(join(one.layerDirs[1] ?? "", "tmp/kept"), "utf8"), "kept\n");
    let bytes = 0;
    for await (const chunk of runtime.exportContainer(spec.id, { pause: true, abort: soon() })) {
      bytes += chunk.length;
    }
    t.true(bytes > 100_000);
  }),
);

kernelTest("file capabilities come back as they were, in commits and in exports", (t) =>
  withBusybox(t, async ({ runtime, root }, image) => {
    const { spec, sh } = await started(runtime, image);
    await sh("busybox cp /bin/busybox /tmp/ping");
    // As a program inside would write them: revision 3, for the root of the container's user namespace.
    const upper = join(root, "lib/containers", spec.id, "rootfs/upper/tmp/ping");
    const value =
      "struct.pack('<5I', 0x03000001, 1 << 13, 0, 0, 0) + struct.pack('<I', 0x7ffe0000)";
    const set = `import os,struct; os.setxattr(${JSON.stringify(upper)}, "security.capability", ${value}); os.setxattr(${JSON.stringify(upper)}, "user.binary", bytes([0, 10, 61, 255]))`;
    await run("python3", ["-c", set]);
    const committed = await runtime.commitContainer(spec.id, {
      changes: [],
      pause: true,
      abort: soon(),
    });
    const layer = join(committed.layerDirs[1] ?? "", "tmp/ping");
    const get = `import os; print(os.getxattr(${JSON.stringify(layer)}, "security.capability").hex(), os.getxattr(${JSON.stringify(layer)}, "user.binary").hex())`;
    const { stdout } = await run("python3", ["-c", get]);
    t.is(stdout.trim(), "01000003002000000000000000000000000000000000fe7f 000a3dff");
    const tar = join(root, "caps.tar");
    await save(runtime.exportContainer(spec.id, { pause: false, abort: soon() }), tar);
    // Others read revision 2, which names no root.
    t.true(
      readFileSync(tar).includes(
        Buffer.concat([
          Buffer.from("SCHILY.xattr.security.capability="),
          Buffer.from("0100000200200000000000000000000000000000", "hex"),
        ]),
      ),
    );
  }),
);

kernelTest("what cannot be read of a change or an archive is refused, and nothing stays", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const path = join(root, "not.tar");
    writeFileSync(path, Buffer.alloc(10_000, "no archive at all"));
    const images = runtime.images.list().length;
    const import_ = (file: string, changes: readonly string[] = []) =>
      runtime.images.importRoot(file, { changes, abort: soon() });
    await t.throwsAsync(import_(path), { message: /cannot import .*not\.tar because/ });
    await t.throwsAsync(import_(join(root, "absent")), { message: /no such file or directory/ });
    await t.throwsAsync(import_(path, ["RUN make"]), {
      message: /"RUN make" cannot be read \(it is no instruction .* write one of CMD, ENTRYPOINT/,
    });
    await t.throwsAsync(import_(path, ["WORKDIR tmp"]), { message: /an absolute path/ });
    t.is(runtime.images.list().length, images);
    await runtime.images.collectGarbage(() => new Set(runtime.images.list().map((i) => i.digest)));
  }),
);

kernelTest("an export that nobody reads to its end leaves neither a process nor a socket", (t) =>
  withBusybox(t, async ({ runtime, root }, image) => {
    const { spec } = await started(runtime, image);
    for await (const _ of runtime.exportContainer(spec.id, { pause: true, abort: soon() })) break;
    const { containers } = await runtime.observe();
    t.is(containers.find(({ spec: { id } }) => id === spec.id)?.state, "running");
    const { stdout } = await run("ls", [join(root, "run/unpack")]);
    t.is(stdout, "");
  }),
);

async function withBusybox(
  t: ExecutionContext,
  work: (bench: Bench, image: Image) => Promise<void>,
): Promise<void> {
  if (!hasTool(t, "busybox")) return;
  await withRuntime(async (bench) => {
    mkdirSync(bench.root, { recursive: true });
    const archive = await busyboxRoot(bench.root);
    const image = await bench.runtime.images.importRoot(archive, {
      reference: "own/busybox:1",
      changes: ['CMD ["sh"]'],
      message: "from the host",
      abort: soon(),
    });
    await work(bench, image);
  });
}
