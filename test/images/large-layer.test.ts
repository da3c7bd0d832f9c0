import { existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { buildTar, type TarEntry } from "../builders/tar.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { withStore } from "./store-harness.ts";

/** In memory where that is possible: a disk that others use would take minutes for so many inodes. */
const place = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
const directories = 200;
const filesEach = 1000;

kernelTest("a layer of 200,000 files in several zstd frames is unpacked, and removed again", (t) =>
  withStore(
    async ({ root, store, content }) => {
      const entries = Array.from({ length: directories }, (_, directory): TarEntry[] => [
        { type: "directory", path: `d${directory}/` },
        ...Array.from({ length: filesEach }, (_unused, file): TarEntry => {
          return { type: "file", path: `d${directory}/f${file}`, content: new Uint8Array() };
        }),
      ]).flat();
      const tar = buildTar(entries);
      const half = tar.length / 2;
      const frames = [tar.subarray(0, half), tar.subarray(half)].map((part) =>
        zstdCompressSync(part),
      );
      const path = join(root, "many.tar.zst");
      writeFileSync(path, Buffer.concat(frames));
      // On a busy machine this may take its time.
      const abort = AbortSignal.timeout(300_000);
      const image = await store.importRoot(path, { changes: [], abort });
      const layer = image.layerDirs[0] ?? "";
      t.is(readdirSync(layer).length, directories);
      for (const name of ["d0", "d117", "d199"]) {
        t.is(readdirSync(join(layer, name)).length, filesEach);
      }
      await store.remove(image.digest, new Set());
      t.deepEqual(content(), { blobs: [], layers: [], incoming: [] });
    },
    mkdtempSync(join(place, "bt-images-large-")),
  ),
);
