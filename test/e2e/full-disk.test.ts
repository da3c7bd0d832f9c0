import { randomBytes } from "node:crypto";
import { totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { buildImage, fileLayer } from "../images/image-builder.ts";
import { withRegistry } from "../images/test-registry.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

/** The durable directory is a small tmpfs in a mount namespace of the agent's own: it ends with the agent. */
const onSmallDisk =
  'mkdir -p "$0/lib" && mount -t tmpfs -o size=40m,mode=0700 none "$0/lib" && exec "$@"';
const agent = sharedAgent({
  under: (dir) => ["unshare", "--mount", "--propagation", "private", "sh", "-c", onSmallDisk, dir],
});

serialKernelTest(
  "a disk that fills up during a pull is named, what runs goes on, and what fits is pulled",
  async (t) => {
    await agent.deploy("shop", `services: { web: { image: "${image}" } }`);
    const before = await agent.container("shop-web-1");
    await withRegistry(async (registry) => {
      // Compressed it is nothing, so that it only fails to fit while it is unpacked.
      registry.add("app", "big", buildImage([fileLayer("big", Buffer.alloc(64 << 20))]));
      registry.add("app", "small", buildImage([fileLayer("small", "fits")]));
      await agent.commit({
        "big/compose.yaml": `services: { web: { image: "${registry.host}/app:big", command: [x] } }`,
      });
      const { reason } = await agent.untilApp("big", ({ verdict }) => verdict === "failed");
      t.regex(reason, /^cannot pull .*app:big because the disk of .*is full \(ENOSPC\)/);
      // Once more at once, as something could be collected; from then on it waits.
      await sleep(3_000);
      const failures = (await agent.ok("events")).match(/image\.pull-failed/g) ?? [];
      t.true(failures.length <= 4, `${failures.length} failed pulls in some seconds`);
      t.deepEqual(await agent.container("shop-web-1"), before);
      t.is((await agent.get("/healthz")).status, 200);
      // While it is tried again, the disk may be full again for a moment.
      const pulled = async () =>
        (await agent.berth("pull", `${registry.host}/app:small`)).code === 0 || undefined;
      t.true(await eventually(pulled, "what fits"));
    });
    await agent.commit({ "big/compose.yaml": null });
    await agent.untilStatus(({ wanted, running }) => wanted === running, "the revision");
    t.deepEqual(await agent.container("shop-web-1"), {
      ...before,
      revision: (await agent.container("shop-web-1")).revision,
    });
  },
);

serialKernelTest(
  "an image that does not fit is refused before a byte of its layers is pulled",
  async (t) => {
    const before = await agent.container("shop-web-1");
    await withRegistry(async (registry) => {
      // What does not compress takes its own size twice: packed and unpacked.
      const huge = buildImage([fileLayer("big", randomBytes(48 << 20))]);
      registry.add("app", "huge", huge);
      await agent.commit({
        "huge/compose.yaml": `services: { web: { image: "${registry.host}/app:huge", command: [x] } }`,
      });
      const { reason } = await agent.untilApp("huge", ({ verdict }) => verdict === "failed");
      t.regex(reason, /MiB free and .* needs? \d+ MiB/);
      const large = [...huge.blobs].filter(([, bytes]) => bytes.length > 1 << 20);
      const asked = large.filter(([digest]) =>
        registry.requests.some((one) => one.includes(digest)),
      );
      t.is(large.length, 1);
      t.deepEqual(asked, []);
    });
    t.is((await agent.container("shop-web-1")).pid, before.pid);
    await agent.commit({ "huge/compose.yaml": null });
  },
);

serialKernelTest(
  "a revision that reserves more memory than the host has changes nothing of who reserves, and says how much",
  async (t) => {
    const manifest = (bytes: number, greeting: string) => `
services:
  web: { image: "${image}", mem_reservation: ${bytes}, environment: { GREETING: ${greeting} } }
`;
    t.is((await agent.deploy("thirsty", manifest(1 << 20, "one"))).verdict, "healthy");
    const before = await agent.container("thirsty-web-1");
    const most = Math.floor(totalmem() * 0.6);
    const sha = await agent.commit({
      "thirsty/compose.yaml": manifest(most, "two"),
      "thirstier/compose.yaml": manifest(most, "two"),
      "modest/compose.yaml": `services: { web: { image: "${image}" } }`,
    });
    for (const name of ["thirsty", "thirstier"]) {
      const { reason } = await agent.untilApp(name, ({ verdict }) => verdict === "failed");
      t.regex(reason, /cannot keep \d+ MiB of memory .* this host has \d+ MiB: lower/);
    }
    await agent.untilApp("modest", (one) => one.verdict === "healthy" && one.revision === sha);
    t.deepEqual(await agent.container("thirsty-web-1"), before);
    t.false((await agent.ps()).some(({ app }) => app === "thirstier"));
    // Each alone fits.
    await agent.commit({ "thirstier/compose.yaml": null });
    await agent.untilApp("thirsty", ({ verdict }) => verdict === "healthy");
    t.not((await agent.container("thirsty-web-1")).pid, before.pid);
  },
);
