import { createServer } from "node:http";
import { createRequire } from "node:module";
import test from "ava";
import { HttpRoutes } from "../../runtime/registry/http-routes.ts";
import { noRegistrySettings } from "../../runtime/registry/registry-settings.ts";

test("a request to a registry loads the parts of undici that it needs, and no more", async (t) => {
  const server = createServer((_, response) => response.end("here"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  try {
    const url = new URL(`http://127.0.0.1:${address.port}/v2/`);
    const route = await new HttpRoutes(noRegistrySettings).find(url);
    const { dispatcher, origin, path } = route;
    const answer = await dispatcher.request({ origin, path, method: "GET" });
    t.is(await answer.body.text(), "here");
    await dispatcher.close();
    const loaded = Object.keys(createRequire(import.meta.url).cache).filter((name) =>
      name.includes("/undici/"),
    );
    t.true(loaded.some((name) => name.endsWith("/lib/dispatcher/agent.js")));
    // All of it is some 100 files, and 70 ms and more in one turn of the event loop.
    t.true(loaded.length < 40, `${loaded.length} files`);
  } finally {
    server.close();
  }
});
