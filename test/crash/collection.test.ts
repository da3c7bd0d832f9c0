import { kernelTest } from "../kernel/kernel-test.ts";
import { checkEndState } from "./checks.ts";
import { storedImages } from "./inventory.ts";
import { bringUp, checkImages, collect } from "./phases.ts";
import { walkBoundaries } from "./walk-boundaries.ts";

kernelTest(
  "an agent killed after any change of a collection of images loses none that is needed",
  (t) =>
    walkBoundaries({
      t,
      walked: "a collection",
      by: "instants",
      lanes: 3,
      // An image, two layers and four blobs are forgotten, moved and removed.
      least: 20,
      begin: async (host) => {
        const bare = { host: await bringUp({ t, host }), images: storedImages(host) };
        await host.loadSpareImage();
        const loaded = storedImages(host);
        t.true(loaded.layers.length > bare.images.layers.length);
        return async ({ kill, label }) => {
          await host.loadSpareImage();
          await checkImages(t, host, { expected: loaded, label: `${label}: loaded again` });
          const wasKilled = await collect({ t, host, kill, label });
          await checkImages(t, host, { expected: bare.images, label });
          await checkEndState(t, host, { expected: bare.host, label });
          return wasKilled;
        };
      },
    }),
);
