import { lstatSync } from "node:fs";
import { join } from "node:path";
import { kernelTest } from "../kernel/kernel-test.ts";
import { buildImage, fileLayer, type LayerRecipe } from "./image-builder.ts";
import { soon, withStore } from "./store-harness.ts";
import { withRegistry } from "./test-registry.ts";

function directories(modes: Readonly<Record<string, number>>): LayerRecipe {
  return {
    entries: Object.entries(modes).map(([path, mode]) => ({ type: "directory", path, mode })),
  };
}

kernelTest("an implied directory looks like the nearest one that nothing hides", (t) =>
  withRegistry((registry) =>
    withStore(async ({ store }) => {
      const image = buildImage([
        directories({ srv: 0o700, "srv/a": 0o711, "srv/a/b": 0o722, opt: 0o733, "opt/c": 0o744 }),
        directories({ srv: 0o2755, "srv/a": 0o2750, etc: 0o701 }),
        { entries: [{ type: "file", path: "opt", content: Buffer.from("hides") }] },
        {
          entries: [
            ...["srv/a/b/one", "srv/a/b/two", "srv/a/b/etc/three", "srv/a/four"],
            ...["opt/c/five", "etc/new/six"],
          ].map((path) => ({ type: "file", path, content: Buffer.from(path) })),
        },
        fileLayer("srv/a/b/seven", "7"),
      ]);
      registry.add("app", "1", image);
      const { layerDirs } = await store.pull(`${registry.host}/app:1`, { abort: soon() });
      const modes = (layer: number, paths: readonly string[]) =>
        paths.map((path) => lstatSync(join(layerDirs[layer] ?? "", path)).mode & 0o7777);
      t.deepEqual(modes(3, ["srv", "srv/a", "srv/a/b"]), [0o2755, 0o2750, 0o722]);
      t.deepEqual(modes(3, ["opt", "opt/c"]), [0o755, 0o755], "behind a file there is nothing");
      t.deepEqual(modes(3, ["etc", "etc/new", "srv/a/b/etc"]), [0o701, 0o755, 0o755]);
      t.deepEqual(modes(4, ["srv", "srv/a", "srv/a/b"]), [0o2755, 0o2750, 0o722]);
    }),
  ),
);
