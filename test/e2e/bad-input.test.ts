import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { freePort } from "../builders/free-port.ts";
import { buildImage } from "../images/image-builder.ts";
import { withRegistry } from "../images/test-registry.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { payloadPath } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();
const secret = "hunter2-of-the-database";
const good = `
services:
  web:
    image: ${image}
    restart: always
    environment: { DB_PASSWORD: ${secret} }
    volumes: ["data:/data"]
volumes: { data: {} }
`;
const one = (fields: string) => `services: { web: { image: "${image}", ${fields} } }\n`;

serialKernelTest(
  "an invalid commit changes nothing, and every mistake in it is told with its place",
  async (t) => {
    const revision = (await agent.deploy("shop", good)).revision;
    const before = await agent.container("shop-web-1");
    await agent.commit({
      "broken/compose.yaml": "services:\n  web: [\n",
      "shop/compose.yaml": good
        .replace("environment:", "enviroment:")
        .replace("always", "sometimes"),
      "later/compose.yaml": one("runtime: kata"),
      "fresh/compose.yaml": one("command: []"),
    });
    const status = await agent.untilStatus(({ errors }) => errors.length > 0, "the mistakes");
    const text = status.errors.join("\n");
    t.regex(text, /^broken\/compose\.yaml:\d+:\d+: /m);
    t.regex(text, /^shop\/compose\.yaml:6:5: .*enviroment.*environment/m);
    t.regex(text, /^shop\/compose\.yaml:5:14: .*sometimes/m);
    t.regex(
      text,
      /^later\/compose\.yaml:1:\d+: not supported by berth: services\.web\.runtime: ./m,
    );
    t.is(status.wanted, revision);
    t.deepEqual(await agent.container("shop-web-1"), before);
    t.false((await agent.ps()).some(({ app }) => app === "fresh"));
    const sync = await agent.berth("sync");
    t.is(sync.code, 1);
    t.regex(sync.stdout, /enviroment/);
    t.is((await agent.get("/readyz")).status, 200, "the wanted revision still runs");
    const changes = ["broken", "later", "fresh"].map(
      (app) => [`${app}/compose.yaml`, null] as const,
    );
    await agent.commit({ ...Object.fromEntries(changes), "shop/compose.yaml": good });
    t.deepEqual((await agent.untilStatus(({ errors }) => errors.length === 0, "none")).errors, []);
    t.is((await agent.container("shop-web-1")).pid, before.pid);
  },
);

serialKernelTest(
  "a port that another process has is refused with its name, before anything is touched",
  async (t) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no TCP port was bound");
    const before = await agent.container("shop-web-1");
    const wish = good.replace("restart:", `ports: ["${address.port}:8080"]\n    restart:`);
    try {
      await agent.commit({ "shop/compose.yaml": wish });
      const { reason, verdict } = await agent.untilApp("shop", (app) => app.reason !== "");
      t.is(verdict, "failed");
      t.regex(
        reason,
        new RegExp(
          `port 0.0.0.0:${address.port}/tcp for shop-web-1 because process .*\\(pid ${process.pid}\\) has it`,
        ),
      );
      t.is((await agent.container("shop-web-1")).pid, before.pid);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    t.is((await agent.berth("sync")).code, 0);
    t.is((await agent.container("shop-web-1")).ports[0]?.hostPort, address.port);
    await agent.deploy("shop", good);
  },
);

serialKernelTest(
  "a port that another service publishes is refused with that service's name",
  async (t) => {
    const port = await freePort();
    await agent.deploy("holder", one(`ports: ["${port}:8080"]`));
    await agent.commit({ "second/compose.yaml": one(`ports: ["127.0.0.1:${port}:8080"]`) });
    const { errors } = await agent.untilStatus((status) => status.errors.length > 0, "the mistake");
    t.regex(
      errors.join(),
      new RegExp(`127.0.0.1:${port}/tcp is already published by holder/web at holder/compose.yaml`),
    );
    t.is((await agent.container("holder-web-1")).state, "running");
    await agent.commit({ "second/compose.yaml": null, "holder/compose.yaml": null });
  },
);

serialKernelTest("a bind source that is missing is named", async (t) => {
  const source = `${agent.dir}/not-there`;
  await agent.commit({
    "bind/compose.yaml": one(
      `volumes: [{ type: bind, source: "${source}", target: /data, bind: { create_host_path: false } }]`,
    ),
  });
  const { reason } = await agent.untilApp("bind", (app) => app.reason !== "");
  t.regex(reason, new RegExp(`cannot mount ${source} into bind-web-1 because it does not exist`));
  await agent.commit({ "bind/compose.yaml": null });
});

serialKernelTest(
  "an external volume that is missing is named; one that is there is used, and neither made nor removed",
  async (t) => {
    const wish = (name: string) =>
      `${one('volumes: ["data:/data"]')}volumes: { data: { external: true, name: ${name} } }\n`;
    await agent.commit({ "guest/compose.yaml": wish("nobodys") });
    const { reason } = await agent.untilApp("guest", (app) => app.reason !== "");
    t.regex(reason, /external volume nobodys because it does not exist/);
    t.is((await agent.berth("inspect", "nobodys")).code, 1);
    const before = await agent.inspect<{ labels: object }>("shop_data");
    t.is((await agent.deploy("guest", wish("shop_data"))).verdict, "healthy");
    await agent.ok("exec", "guest-web-1", "/bin/probe", "write", "/data/from-guest", "hello");
    t.is(await agent.ok("exec", "shop-web-1", "/bin/probe", "cat", "/data/from-guest"), "hello");
    t.deepEqual((await agent.inspect<{ labels: object }>("shop_data")).labels, before.labels);
    await agent.commit({ "guest/compose.yaml": null });
    await agent.untilStatus(({ apps }) => !apps.some(({ name }) => name === "guest"), "its end");
    t.is(await agent.ok("exec", "shop-web-1", "/bin/probe", "cat", "/data/from-guest"), "hello");
  },
);

serialKernelTest(
  "a program that the image does not have is named, with what was looked for",
  async (t) => {
    const { verdict, reason } = await agent
      .commit({ "typo/compose.yaml": one('entrypoint: ["/bin/wbe"], restart: always') })
      .then(() => agent.untilApp("typo", (app) => app.verdict === "failed"));
    t.is(verdict, "failed");
    t.regex(reason, /typo-web-1/);
    t.regex(reason, /\/bin\/wbe/);
    t.regex(reason, /no such file/i);
    await agent.commit({ "typo/compose.yaml": null });
  },
);

serialKernelTest(
  "registries that are down, lack the image or lie about a digest are told apart",
  async (t) => {
    const before = await agent.container("shop-web-1");
    const program = {
      type: "file",
      path: "web",
      content: readFileSync(payloadPath("web")),
    } as const;
    const build = (extra: string) =>
      buildImage(
        [
          { entries: [program] },
          {
            entries: [{ type: "file", path: extra, content: Buffer.from(extra) }],
            compression: "none",
          },
        ],
        { config: { Entrypoint: ["/web"] } },
      );
    const trapped = build("trap");
    const closed = await freePort();
    await withRegistry(async (registry) => {
      registry.add("lies", "1", trapped);
      registry.add("honest", "1", build("fine"));
      const layer = trapped.layerDigests[1] ?? "";
      const lie = Buffer.from(trapped.blobs.get(layer) ?? "");
      lie.writeUInt8(lie.readUInt8(40) ^ 1, 40);
      registry.intercept = (request, response) => {
        if (!request.url?.includes(`/lies/blobs/${layer}`)) return false;
        response.writeHead(200, { "content-length": lie.length }).end(lie);
        return true;
      };
      const references = {
        down: `127.0.0.1:${closed}/app:1`,
        lacks: `${registry.host}/nothing:9`,
        lies: `${registry.host}/lies:1`,
        honest: `${registry.host}/honest:1`,
      };
      await agent.commit({
        "shop/compose.yaml": good.replace(image, references.lacks),
        ...Object.fromEntries(
          Object.entries(references).map(([app, reference]) => [
            `${app}/compose.yaml`,
            `services: { web: { image: "${reference}" } }\n`,
          ]),
        ),
      });
      const reasonOf = async (app: string) =>
        (await agent.untilApp(app, ({ verdict }) => verdict === "failed")).reason;
      t.regex(await reasonOf("down"), new RegExp(`${references.down}.*(ECONNREFUSED|refused)`));
      t.regex(await reasonOf("lacks"), /has no tag 9 of nothing/);
      t.regex(await reasonOf("lies"), /digest/);
      t.regex(await reasonOf("shop"), /has no tag 9/);
      t.is(
        (await agent.untilApp("honest", ({ verdict }) => verdict !== "pending")).verdict,
        "healthy",
      );
      t.deepEqual(await agent.container("shop-web-1"), before);
      const pulled = await agent.berth("pull", references.lies);
      t.is(pulled.code, 1);
      t.regex(pulled.stderr, /digest/);
      registry.intercept = () => false;
      t.is((await agent.berth("pull", references.lies)).code, 0);
    });
    await agent.commit({
      ...Object.fromEntries(
        ["down", "lacks", "lies", "honest"].map((app) => [`${app}/compose.yaml`, null]),
      ),
      "shop/compose.yaml": good,
    });
    await agent.untilApp("shop", ({ verdict }) => verdict === "healthy");
  },
);

serialKernelTest("values of the environment are in no log line and no event", async (t) => {
  await agent.deploy("shop", good.replace(secret, `${secret}-new`));
  t.regex(await agent.ok("exec", "shop-web-1", "/bin/probe", "env"), new RegExp(`${secret}-new`));
  t.notRegex(agent.log, new RegExp(secret));
  t.notRegex(await agent.ok("events", "--json"), new RegExp(secret));
  t.notRegex((await agent.get("/metrics")).body, new RegExp(secret));
  t.notRegex((await agent.get("/")).body, new RegExp(secret));
});

serialKernelTest("a second agent on the same directories is refused", async (t) => {
  const { code, stderr } = await agent.berth(
    "agent",
    "--repo",
    agent.fleet.dir,
    "--listen",
    "none",
  );
  t.is(code, 1);
  t.regex(stderr, /another one \(pid \d+\) runs/);
  t.is((await agent.get("/healthz")).status, 200);
  const pidFile = join(agent.dir, "run/agent.pid");
  t.is(readFileSync(pidFile, "utf8"), `${agent.pid}\n`);
  await agent.end("SIGTERM");
  t.false(existsSync(pidFile), "an agent that ended has no pid");
  await agent.start();
});
