import { kernelTest } from "../kernel/kernel-test.ts";
import { checkEndState, endState } from "./checks.ts";
import { storedImages } from "./inventory.ts";
import { bringUp, checkImages, pull, unpull } from "./phases.ts";
import { walkBoundaries } from "./walk-boundaries.ts";

kernelTest(
  "an agent killed after any change of a pull ends with the image whole, and runs it",
  (t) =>
    walkBoundaries({
      t,
      walked: "a pull",
      by: "earlyInstants",
      lanes: 3,
      // A revision is accepted, two layers and two documents are written and moved, the image is recorded.
      least: 40,
      begin: async (host) => {
        const before = { host: await bringUp({ t, host }), images: storedImages(host) };
        await pull({ t, host, kill: null, label: "undisturbed" });
        const pulled = { host: await endState(host), images: storedImages(host) };
        t.is(pulled.images.layers.length, before.images.layers.length + 2);
        await unpull({ t, host, label: "undisturbed" });
        await checkImages(t, host, { expected: before.images, label: "undisturbed: back" });
        return async ({ kill, label }) => {
          const wasKilled = await pull({ t, host, kill, label });
          await checkEndState(t, host, { expected: pulled.host, label });
          await checkImages(t, host, { expected: pulled.images, label });
          await unpull({ t, host, label });
          await checkEndState(t, host, { expected: before.host, label: `${label}: back` });
          await checkImages(t, host, { expected: before.images, label: `${label}: back` });
          return wasKilled;
        };
      },
    }),
);
