/** Pulls what does not fit onto the small disk that is mounted at its argument, then what does. Prints JSON. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { describeError } from "../../agent/log.ts";
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
    process.stdout.write(JSON.stringify({ error, left, later }));
  }, root),
);
