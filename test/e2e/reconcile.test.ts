import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../builders/free-port.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();

serialKernelTest(
  "a local commit becomes a container that answers, long before the interval",
  async (t) => {
    const port = await freePort();
    const startedAt = performance.now();
    await agent.commit({
      "first/compose.yaml": `
services:
  web:
    image: ${image}
    environment: { GREETING: ahoy }
    ports: ["127.0.0.1:${port}:8080"]
`,
    });
    await agent.untilContainer("first-web-1", ({ state }) => state === "running");
    t.log(`from commit to running: ${Math.round(performance.now() - startedAt)} ms`);
    // It runs a moment before it listens.
    const body = await eventually(
      () =>
        fetch(`http://127.0.0.1:${port}/`).then(
          (answer) => answer.text(),
          () => undefined,
        ),
      "an answer",
    );
    t.regex(body, /greeting: ahoy/);
    t.is(
      (await agent.untilApp("first", ({ verdict }) => verdict !== "pending")).verdict,
      "healthy",
    );
  },
);

serialKernelTest(
  "a commit that changes one service leaves every other process alone",
  async (t) => {
    const manifest = (greeting: string) => `
services:
  web: { image: ${image}, environment: { GREETING: ${greeting} } }
  db: { image: ${image} }
`;
    await agent.deploy("calm", manifest("one"));
    const before = await Promise.all(
      ["calm-web-1", "calm-db-1"].map((name) => agent.container(name)),
    );
    t.is((await agent.deploy("calm", manifest("two"))).verdict, "healthy");
    const after = await Promise.all(
      ["calm-web-1", "calm-db-1"].map((name) => agent.container(name)),
    );
    t.not(after[0]?.pid, before[0]?.pid);
    t.is(after[1]?.pid, before[1]?.pid);
    t.is(after[1]?.startedAt, before[1]?.startedAt);
  },
);

serialKernelTest(
  "services start after what they depend on, is healthy or has completed",
  async (t) => {
    const { verdict } = await agent.deploy(
      "order",
      `
services:
  web:
    image: ${image}
    depends_on:
      db: { condition: service_healthy }
      migrate: { condition: service_completed_successfully }
  db:
    image: ${image}
    healthcheck: { test: ["CMD", "/bin/probe-net", "tcp", "127.0.0.1", "8080"], interval: 1s }
  migrate:
    image: ${image}
    entrypoint: ["/bin/probe", "sleep", "0.4"]
    depends_on: [db]
`,
    );
    t.is(verdict, "healthy");
    const [web, db, migrate] = await Promise.all(
      ["web", "db", "migrate"].map((service) => agent.container(`order-${service}-1`)),
    );
    const { exit } = await agent.inspect<{ exit: { finishedAtMs: number } }>("order-migrate-1");
    t.is(db?.health, "healthy");
    t.is(migrate?.state, "exited");
    t.is(migrate?.exitCode, 0);
    t.true((migrate?.startedAt ?? "") >= (db?.startedAt ?? "x"));
    t.true(Date.parse(web?.startedAt ?? "") >= exit.finishedAtMs);
  },
);

serialKernelTest(
  "a dependent of a job that fails never starts, and the verdict says why",
  async (t) => {
    const { verdict, reason } = await agent.deploy(
      "blocked",
      `
services:
  web:
    image: ${image}
    depends_on: { migrate: { condition: service_completed_successfully } }
  migrate: { image: ${image}, entrypoint: ["/bin/probe", "exit", "4"] }
`,
    );
    t.is(verdict, "failed");
    t.regex(reason, /blocked-migrate-1 ended with exit code 4/);
    t.not((await agent.ps()).find(({ name }) => name === "blocked-web-1")?.state, "running");
    await agent.commit({ "blocked/compose.yaml": null });
  },
);

serialKernelTest("what left git is gone with its network, and its volume stays", async (t) => {
  await agent.deploy(
    "leaving",
    `
services:
  web: { image: ${image}, volumes: ["data:/data"] }
volumes: { data: {} }
`,
  );
  t.regex(await agent.ok("inspect", "leaving_default"), /"kind": "network"/);
  await agent.commit({ "leaving/compose.yaml": null });
  await agent.untilStatus(
    ({ apps, wanted, running }) =>
      wanted === running && !apps.some(({ name }) => name === "leaving"),
    "an app that is gone",
  );
  t.deepEqual(
    (await agent.ps()).filter(({ app }) => app === "leaving"),
    [],
  );
  t.is((await agent.berth("inspect", "leaving_default")).code, 1);
  t.regex(await agent.ok("inspect", "leaving_data"), /"kind": "volume"/);
});

serialKernelTest(
  "each restart policy answers an end as it says, with a growing delay",
  async (t) => {
    const job = (policy: string, code: number) =>
      `{ image: ${image}, entrypoint: ["/bin/probe", "exit", "${code}"], restart: "${policy}" }`;
    await agent.commit({
      "policies/compose.yaml": `
services:
  no: ${job("no", 3)}
  twice: ${job("on-failure:2", 3)}
  good: ${job("on-failure", 0)}
  always: ${job("always", 0)}
  unless: ${job("unless-stopped", 3)}
`,
    });
    const ended = (service: string, restarts: number) =>
      agent.untilContainer(
        `policies-${service}-1`,
        (entry) => entry.state === "exited" && entry.restarts === restarts,
      );
    t.like(await ended("no", 0), { exitCode: 3 });
    t.like(await ended("twice", 2), { exitCode: 3 });
    t.like(await ended("good", 0), { exitCode: 0 });
    for (const service of ["always", "unless"]) {
      await agent.untilContainer(`policies-${service}-1`, ({ restarts }) => restarts >= 3);
      await agent.untilContainer(`policies-${service}-1`, ({ state }) => state === "restarting");
    }
    const { crashLooping, reason } = await agent.untilApp(
      "policies",
      (app) => app.verdict === "failed" && app.crashLooping.length === 2,
    );
    t.deepEqual(crashLooping, ["policies-always-1", "policies-unless-1"]);
    t.regex(await agent.ok("status"), /^crash loop +policies-always-1$/m);
    t.regex(
      (await agent.get("/metrics")).body,
      /^berth_container_crash_loop\{app="policies",container="policies-always-1"\} 1$/m,
    );
    t.regex(
      reason,
      /policies-twice-1 ended with exit code 3 and is not restarted after 2 restarts/,
    );
    t.is((await agent.container("policies-no-1")).restarts, 0);
    // 100 ms doubling: five restarts take 3.1 s, so after half a second more there are not a dozen.
    await sleep(500);
    t.true((await agent.container("policies-always-1")).restarts < 8);
    await agent.commit({ "policies/compose.yaml": null });
  },
);

serialKernelTest(
  "a container that exits within a second of its start fails the verdict",
  async (t) => {
    const { verdict, reason } = await agent.deploy(
      "brief",
      `
services:
  web: { image: ${image}, entrypoint: ["/bin/probe", "sleep", "0.3"], command: [] }
  worse: { image: ${image}, entrypoint: ["/bin/probe", "raise", "11"] }
`,
    );
    t.is(verdict, "failed");
    t.regex(reason, /brief-worse-1 ended with signal 11/);
    await agent.commit({ "brief/compose.yaml": null });
  },
);

serialKernelTest(
  "the healthcheck of an image holds where the service has none, and can be switched off",
  async (t) => {
    await agent.load("localhost/checked:e2e", {
      Healthcheck: {
        Test: ["CMD", "/bin/probe", "exit", "1"],
        Interval: 1e9,
        Retries: 1,
      },
    });
    await agent.commit({
      "checked/compose.yaml": `
services:
  image: { image: "localhost/checked:e2e" }
  pace:
    image: localhost/checked:e2e
    healthcheck: { interval: 1s, retries: 2 }
  own:
    image: localhost/checked:e2e
    healthcheck: { test: ["CMD", "/bin/probe", "exit", "0"] }
  off:
    image: localhost/checked:e2e
    healthcheck: { disable: true }
`,
    });
    const until = (service: string, health: string) =>
      agent.untilContainer(`checked-${service}-1`, (entry) => entry.health === health);
    await until("own", "healthy");
    await until("image", "unhealthy");
    await until("pace", "unhealthy");
    t.is((await agent.container("checked-off-1")).health, "none");
    const { healthcheck } = await agent.inspect<{ healthcheck: object }>("checked-pace-1");
    t.like(healthcheck, {
      test: ["CMD", "/bin/probe", "exit", "1"],
      intervalMs: 1_000,
      retries: 2,
    });
    await agent.commit({ "checked/compose.yaml": null });
  },
);
