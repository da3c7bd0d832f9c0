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
