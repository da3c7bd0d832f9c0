import { readFileSync } from "node:fs";
import type { Runtime } from "../../runtime/runtime.ts";
import { kernelTest } from "./kernel-test.ts";
import {
  collect,
  eventually,
  payloadPath,
  payloadSpec,
  sessionResult,
  withRuntime,
} from "./runtime-harness.ts";

const address = "127.0.0.1";

async function startWeb(runtime: Runtime): Promise<string> {
  const spec = payloadSpec(runtime, "web", ["--port", "8080"]);
  await runtime.createContainer(spec);
  await runtime.startContainer(spec.id);
  const connects = async () => {
    const session = await runtime.dial(spec.id, { address, port: 8080, relay: false });
    return (await session.exit).code === 0 ? true : undefined;
  };
  await eventually(connects, "a connection");
  return spec.id;
}

kernelTest(
  "a port is reached from within a container's network, and says who asked for nothing",
  (t) =>
    withRuntime(async ({ runtime }) => {
      const id = await startWeb(runtime);
      const session = await runtime.dial(id, { address, port: 8080, relay: true });
      session.stdin.end("GET /whoami HTTP/1.0\r\n\r\n");
      const { stdout, exit } = await sessionResult(session);
      t.regex(stdout, /^HTTP\/1\.[01] 200 /);
      t.is(exit.code, 0);
      const refused = await sessionResult(
        await runtime.dial(id, { address, port: 8081, relay: false }),
      );
      t.is(refused.exit.code, 1);
      t.is(refused.stderr, "cannot connect to 127.0.0.1 port 8081: Connection refused\n");
    }),
);

kernelTest("a megabyte comes through a connection whole", (t) =>
  withRuntime(async ({ runtime }) => {
    const id = await startWeb(runtime);
    const session = await runtime.dial(id, { address, port: 8080, relay: true });
    session.stdin.end("GET /read?path=/proc/self/exe HTTP/1.0\r\n\r\n");
    const got = Buffer.concat(await collect(session.stdout as AsyncIterable<Buffer>));
    const body = got.subarray(got.indexOf("\r\n\r\n") + 4);
    t.true(body.equals(readFileSync(payloadPath("web"))));
  }),
);

kernelTest(
  "a frozen container is still connected to, by its kernel, and a bad address is refused",
  (t) =>
    withRuntime(async ({ runtime }) => {
      const id = await startWeb(runtime);
      await runtime.pauseContainer(id);
      const session = await runtime.dial(id, { address, port: 8080, relay: false });
      t.is((await session.exit).code, 0);
      await runtime.unpauseContainer(id);
      const bad = runtime.dial(id, { address: "localhost", port: 80, relay: false });
      await t.throwsAsync(bad, { message: /localhost/ });
    }),
);
