import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createZstdCompress, gzipSync, zstdCompressSync } from "node:zlib";
import type { Launcher } from "../../runtime/helper/launcher.ts";
import type { Unpacker } from "../../runtime/images/unpacker.ts";
import { noRegistrySettings } from "../../runtime/registry/registry-settings.ts";
import { acceptAll } from "../../runtime/trust/trust-policy.ts";
import { buildTar, type TarEntry } from "../builders/tar.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { architecture, json } from "./image-builder.ts";
import { type StoreBench, soon, withStore } from "./store-harness.ts";

const nothing = { blobs: [], layers: [], incoming: [] };
const file = (path: string, content: string | Buffer): TarEntry => ({
  type: "file",
  path,
  content: Buffer.from(content),
});
const layer = buildTar([file("a", Buffer.alloc(1_000_000, "text that compresses "))]);

/** A docker-archive of one layer, and whether its configuration tells the truth of it. */
function dockerArchive({
  isTrue = true,
  content = layer,
  more = [] as readonly TarEntry[],
} = {}): Buffer {
  const diffId = `sha256:${createHash("sha256").update(content).digest("hex")}`;
  const config = {
    architecture,
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [isTrue ? diffId : `sha256:${"0".repeat(64)}`] },
  };
  const manifest = [{ Config: "config.json", RepoTags: ["app:1"], Layers: ["layer.tar"] }];
  return buildTar([
    file("layer.tar", content),
    file("config.json", json(config)),
    file("manifest.json", json(manifest)),
    ...more,
  ]);
}

type Verb = "load" | "import";

/** What is asked of the store for each of the local forms. */
async function use(verb: Verb, { root, store }: StoreBench, bytes: Buffer): Promise<void> {
  const path = join(root, "archive");
  writeFileSync(path, bytes);
  if (verb === "load") await store.load(path, { abort: soon() });
  else await store.importRoot(path, { changes: [], abort: soon() });
}

const archives: readonly (readonly [Verb, Buffer])[] = [
  ["load", dockerArchive()],
  ["import", layer],
];

const cuts: readonly (readonly [string, (bytes: Buffer) => Buffer, RegExp])[] = [
  ["plain", (bytes) => bytes.subarray(0, -3000), /truncated/],
  ["gzip", (bytes) => gzipSync(bytes).subarray(0, -40), /not valid gzip: it ends too early/],
  [
    "zstd",
    (bytes) => zstdCompressSync(bytes).subarray(0, -40),
    /not valid zstd: it ends too early/,
  ],
];

for (const [verb, bytes] of archives) {
  for (const [form, cut, message] of cuts) {
    kernelTest(`${verb} of a ${form} archive that was cut says so and leaves nothing`, (t) =>
      withStore(async (bench) => {
        await t.throwsAsync(use(verb, bench, cut(bytes)), { name: "ImageError", message });
        t.deepEqual(bench.content(), nothing);
      }),
    );
  }

  kernelTest(`${verb} of a bomb ends before it has unpacked and leaves nothing`, (t) =>
    withStore(async (bench) => {
      await t.throwsAsync(use(verb, bench, await bomb(bytes)), {
        name: "ImageError",
        message: /looks like a bomb/,
      });
      t.deepEqual(bench.content(), nothing);
    }),
  );
}

kernelTest("a layer without its last padding and its end, as umoci writes them, is taken", (t) =>
  withStore(async (bench) => {
    const whole = buildTar([file("a", "abc")]);
    await use("load", bench, dockerArchive({ content: whole.subarray(0, 512 + 3) }));
    t.is(bench.content().layers.length, 1);
  }),
);

kernelTest("a root file system without its end is refused: nothing says that it is whole", (t) =>
  withStore(async (bench) => {
    const whole = buildTar([file("a", "abc")]);
    await t.throwsAsync(use("import", bench, whole.subarray(0, 1024)), { message: /truncated/ });
    t.deepEqual(bench.content(), nothing);
  }),
);

kernelTest("a layer that is not the one of its configuration is refused and leaves nothing", (t) =>
  withStore(async (bench) => {
    await t.throwsAsync(use("load", bench, dockerArchive({ isTrue: false })), {
      name: "ImageError",
      message: /unpacks to the DiffID sha256:/,
    });
    t.deepEqual(bench.content(), nothing);
  }),
);

const refused: readonly (readonly [string, TarEntry, RegExp])[] = [
  ["an absolute path", file("/etc/passwd", "x"), /the path \/etc\/passwd is not allowed/],
  ["a FIFO", { type: "fifo", path: "pipe" }, /neither a file nor a directory nor a link/],
  [
    "a link that leaves it",
    { type: "symlink", path: "a/b", target: "../../etc/passwd" },
    /leaves the archive/,
  ],
  [
    "a document of five mebibytes",
    file("index.json", Buffer.alloc(5 << 20)),
    /index\.json sends more/,
  ],
];

for (const [what, entry, message] of refused) {
  kernelTest(`an archive with ${what} is refused and leaves nothing`, (t) =>
    withStore(async (bench) => {
      await t.throwsAsync(use("load", bench, dockerArchive({ more: [entry] })), {
        name: "ImageError",
        message,
      });
      t.deepEqual(bench.content(), nothing);
    }),
  );
}

kernelTest("what is no archive at all is refused by all that read one, and leaves nothing", (t) =>
  withStore(async (bench) => {
    for (const verb of ["load", "import"] as const) {
      await t.throwsAsync(use(verb, bench, Buffer.alloc(10_000, 0x5a)), {
        name: "ImageError",
        message: /malformed/,
      });
    }
    t.deepEqual(bench.content(), nothing);
  }),
);

for (const victim of ["reader", "decoder"] as const) {
  kernelTest(
    `a ${victim} of the helper's that is killed fails load, import and commit alone`,
    (t) =>
      withKilled(victim, async (bench, kills) => {
        const { store, content } = bench;
        const packed = gzipSync(dockerArchive());
        const message = victim === "reader" ? /helper's process ended/ : /decoder ended/;
        const fails = async (work: Promise<unknown>): Promise<void> => {
          const error = await t.throwsAsync(work, { name: "ImageError", message });
          // What is to blame is this host: the same may work at once.
          t.like(error, { kind: "retryable" });
        };
        kills.next = true;
        await fails(use("load", bench, packed));
        t.deepEqual(content(), nothing);
        await use("load", bench, packed);
        const loaded = content();
        kills.next = true;
        await fails(use("import", bench, gzipSync(layer)));
        t.deepEqual(content(), loaded);
        kills.next = true;
        await fails(commit(store));
        t.deepEqual(content(), loaded);
        await commit(store);
        t.is(content().layers.length, 2);
      }),
  );
}

function commit(store: StoreBench["store"]): Promise<unknown> {
  return store.commit("app:1", {
    layer: pieces(buildTar([file("b", Buffer.alloc(500_000, "more text "))])),
    config: {},
    changes: [],
    createdBy: "test",
    abort: soon(),
  });
}

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

/** A store whose next archive loses a process of the helper's in the middle, when that is asked for. */
function withKilled(
  victim: "reader" | "decoder",
  work: (bench: StoreBench, kills: { next: boolean }) => Promise<void>,
): Promise<void> {
  const kills = { next: false };
  const wrapped = (real: Unpacker, launcher: Launcher): Unpacker => {
    async function* interrupted(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      let isFirst = true;
      for await (const chunk of tar) {
        const part = kills.next && isFirst ? chunk.subarray(0, chunk.length >> 1) : chunk;
        yield part;
        if (kills.next && isFirst) {
          kills.next = false;
          process.kill(processOf(victim, launcher.pid ?? 0), "SIGKILL");
        }
        if (part !== chunk) yield chunk.subarray(part.length);
        isFirst = false;
      }
    }
    return {
      unpack: (order, tar) => real.unpack(order, interrupted(tar)),
      takeFiles: (order, tar) => real.takeFiles(order, interrupted(tar)),
      dressLike: (pairs) => real.dressLike(pairs),
      removeTree: (path) => real.removeTree(path),
    };
  };
  return withStore(
    (bench) => work(bench, kills),
    undefined,
    noRegistrySettings,
    () => acceptAll,
    undefined,
    wrapped,
  );
}

/** The child of the launcher that reads the archive, or its youngest child, which decodes. */
function processOf(victim: "reader" | "decoder", launcher: number): number {
  const reader = children(launcher).at(-1);
  if (reader === undefined) throw new Error("no process of the launcher reads an archive");
  if (victim === "reader") return reader;
  for (;;) {
    // It is forked once the first bytes are on their way.
    const decoder = children(reader).at(-1);
    if (decoder !== undefined && isDecoder(decoder)) return decoder;
  }
}

/** In seccomp's strict mode (proc_pid_status(5)), which only decoders are in. */
function isDecoder(pid: number): boolean {
  return /^Seccomp:\s+1$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
}

function children(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.split(" ").filter(Boolean).map(Number);
}

/** The archive with 700 MiB of zeros behind its end, where zeros may be: a hundred kilobytes of zstd. */
async function bomb(archive: Buffer): Promise<Buffer> {
  const encoder = createZstdCompress();
  const parts: Buffer[] = [];
  const zeros = Buffer.alloc(1 << 20);
  encoder.on("data", (part: Buffer) => parts.push(part));
  encoder.write(archive);
  for (let mebibyte = 0; mebibyte < 700; mebibyte += 1) {
    if (!encoder.write(zeros)) {
      await new Promise<void>((resolve) => {
        encoder.once("drain", resolve);
      });
    }
  }
  await new Promise<void>((resolve) => {
    encoder.end(resolve);
  });
  return Buffer.concat(parts);
}
