import { kernelTest } from "../kernel/kernel-test.ts";
import { checkEndState, checkNothingLeft, endState } from "./checks.ts";
import { CrashHost } from "./crash-host.ts";
import type { Kill } from "./crash-plan.ts";
import { storedImages } from "./inventory.ts";
import { checkImages, collect } from "./phases.ts";
import { withTemplates } from "./scenario.ts";

const lanes = 3;

kernelTest(
  "an agent killed after any change of a collection of images loses none that is needed",
  (t) => {
    t.timeout(1_800_000);
    return withTemplates(lanes, async (templates) => {
      // What comes right before a change comes after the one before it, but for what the helper does meanwhile.
      let next = 1;
      // Known once a collection went through undisturbed.
      let last = Number.POSITIVE_INFINITY;
      const kills: number[] = [];
      const lane = async (host: CrashHost) => {
        await host.moveTo("deploy");
        host.start(null);
        t.true(await host.converged());
        const bare = { host: await endState(host), images: storedImages(host) };
        await host.loadSpareImage();
        const loaded = storedImages(host);
        t.true(loaded.layers.length > bare.images.layers.length);
        while (next <= last) {
          const at = next;
          next += 2;
          const kill: Kill = { kind: "instants", at, delayMs: 0 };
          const label = `collection, killed at instant ${at}`;
          await host.loadSpareImage();
          await checkImages(t, host, { expected: loaded, label: `${label}: loaded again` });
          if (await collect({ t, host, kill, label })) kills.push(at);
          else last = Math.min(last, at);
          await checkImages(t, host, { expected: bare.images, label });
          await checkEndState(t, host, { expected: bare.host, label });
        }
        await host.downByAgent();
        await checkNothingLeft(t, host, "down");
      };
      await Promise.all(templates.map((template) => CrashHost.use(template, lane)));
      t.log("instants", last);
      // An image, two layers and four blobs are forgotten, moved and removed.
      t.true(last > 20);
      const all = Array.from({ length: (last - 1) / 2 }, (_, index) => 2 * index + 1);
      const missed = all.filter((at) => !kills.includes(at));
      t.deepEqual(missed, []);
    });
  },
);
