/** Pulls what does not fit onto the small disk that is mounted at its argument, then what does, then loads what does not. Prints JSON. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describeError } from "../../agent/log.ts";
import { buildTar } from "../builders/tar.ts";
import { buildImage, fileLayer } from "./image-builder.ts";
import { soon, withStore } from "./store-harness.ts";
import { withRegistry } from "./test-registry.ts";

const disk = process.argv[2];
if (disk === undefined) throw new Error("the directory of the small disk is expected");
const root = mkdtempSync(join(disk, "store-"));

await withRegistry((registry) =>
  withStore(async ({ store, content }) => {
    // Compressed it is nothing, so that it only fails to fit while it is unpacked.
    registry.add("app", "big", buildImage([fileLayer("big", Buffer.alloc(64 << 20))]));
    registry.add("app", "small", buildImage([fileLayer("small", "fits")]));
    const pull = (tag: string) => store.pull(`${registry.host}/app:${tag}`, { abort: soon() });
    const error = await pull("big").then(String, describeError);
    await store.collectGarbage(() => new Set());
    const left = content();
    const later = await pull("small").then(() => "pulled", String);
    const before = content();
    // Compressed they fit, and so does the archive beside them.
    const path = join(root, "archive");
    const big = Buffer.alloc(64 << 20);
    const attempt = async (bytes: Buffer, work: () => Promise<unknown>) => {
      writeFileSync(path, gzipSync(bytes));
      return work().then(String, describeError);
    };
    const tar = buildTar([{ type: "file", path: "big", content: big }]);
    const local = [
      await attempt(tar, () => store.load(path, { abort: soon() })),
      await attempt(tar, () => store.importRoot(path, { changes: [], abort: soon() })),
    ];
    const isUnchanged = JSON.stringify(content()) === JSON.stringify(before);
    process.stdout.write(JSON.stringify({ error, left, later, local, isUnchanged }));
  }, root),
);
