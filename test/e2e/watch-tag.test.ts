import { readFileSync } from "node:fs";
import { buildImage } from "../images/image-builder.ts";
import { withRegistry } from "../images/test-registry.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { payloadPath } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";

const agent = sharedAgent();

function webImage(greeting: string, entrypoint: readonly string[] = ["/web"]) {
  const content = readFileSync(payloadPath("web"));
  const layer = { entries: [{ type: "file", path: "web", content, mode: 0o755 }] } as const;
  return buildImage([layer], {
    config: { Entrypoint: entrypoint, Env: [`GREETING=${greeting}`] },
  });
}

serialKernelTest(
  "a tag that moved is rolled out where it is watched, and taken back when what it names fails",
  (t) =>
    withRegistry(async (registry) => {
      const [first, second] = [webImage("one"), webImage("two")];
      registry.add("shop/web", "1", first);
      const reference = `${registry.host}/shop/web:1`;
      await agent.deploy(
        "shop",
        `
services:
  watched: { image: "${reference}", x-berth: { watch-tag: 10s } }
  still: { image: "${reference}" }
`,
      );
      const still = await agent.container("shop-still-1");
      const digestOf = async (name: string) => (await agent.container(name)).imageDigest;
      const before = await digestOf("shop-watched-1");
      registry.add("shop/web", "1", second);
      const moved = await agent.untilContainer(
        "shop-watched-1",
        (entry) => entry.imageDigest !== before && entry.state === "running",
      );
      await agent.untilApp("shop", ({ verdict }) => verdict === "healthy");
      t.is((await agent.container("shop-still-1")).pid, still.pid);

      registry.add("shop/web", "1", webImage("three", ["/missing"]));
      const { reason } = await agent.untilApp(
        "shop",
        ({ verdict }) => verdict === "rolled-back",
        30_000,
      );
      t.regex(reason, /missing/);
      await agent.untilContainer(
        "shop-watched-1",
        (entry) => entry.imageDigest === moved.imageDigest && entry.state === "running",
      );

      const fourth = webImage("four");
      registry.add("shop/web", "1", fourth);
      await agent.untilContainer(
        "shop-watched-1",
        (entry) =>
          entry.state === "running" && ![before, moved.imageDigest].includes(entry.imageDigest),
        30_000,
      );
      const history = JSON.parse(await agent.ok("history", "shop", "--json")) as {
        cause: string;
      }[];
      t.deepEqual(
        history.map(({ cause }) => cause),
        ["image", "rollback", "image", "image", "commit"],
      );
      t.regex(await agent.ok("events"), /shop\/web:1 moved to sha256:/);
    }),
);
