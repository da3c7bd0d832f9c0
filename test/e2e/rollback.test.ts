import { readFileSync } from "node:fs";
import type { StatusReport } from "../../agent/control/control.ts";
import type { RolloutReport } from "../../agent/control/rollout-control.ts";
import { freePort } from "../builders/free-port.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();

serialKernelTest(
  "a revision that fails is taken back with its evidence, and what ran before answers again",
  async (t) => {
    const port = await freePort();
    const manifest = (greeting: string, more = "") =>
      greeter(greeting, `    ports: ["127.0.0.1:${port}:8080"]\n${more}`);
    t.is((await agent.deploy("shop", manifest("one"))).verdict, "healthy");
    const failures = [
      ["out of memory", /ran out of memory: the kernel killed/, eatMemory],
      ["an exit", /ended with exit code 7|restarted 3 times/, command("exit", "7")],
      ["no such program", /cannot execute \/bin\/nothing/, entrypoint],
    ] as const;
    for (const [what, evidence, more] of failures) {
      const sha = await agent.commit({ "shop/compose.yaml": manifest(what, more) });
      const status = await untilTakenBack(sha, ["shop"]);
      t.regex(status.apps.find(({ name }) => name === "shop")?.reason ?? "", evidence, what);
      const body = await eventually(
        () =>
          fetch(`http://127.0.0.1:${port}/`)
            .then((answer) => answer.text())
            .catch(() => undefined),
        "an answer of what ran before",
      );
      t.regex(body, /greeting: one/);
    }
    t.is((await agent.get("/readyz")).status, 503);
    const { code, stdout } = await agent.berth("sync");
    t.is(code, 1);
    t.regex(stdout, /rolled-back: shop: .* is held back: .*nothing/);
    t.regex(
      await agent.ok("plan"),
      /shop stays at [0-9a-f]{12}, because [0-9a-f]{12} is held back: /,
    );
    const history = await agent.ok("history", "shop");
    t.is(history.match(/rolled-back/g)?.length, failures.length);
    const records = JSON.parse(await agent.ok("history", "--json", "shop")) as RolloutReport[];
    const failed = records.find(({ verdict }) => verdict === "rolled-back");
    t.regex(failed?.commit?.author ?? "", /@/);
    t.truthy(failed?.commit?.subject);
    const refused = failed?.steps.find(({ outcome }) => outcome !== "done");
    t.regex(refused?.error ?? "", /cannot execute \/bin\/nothing/);
    const first = records.at(-1)?.steps ?? [];
    t.true(first.some(({ kind, target }) => kind === "start-container" && target === "shop-web-1"));
    t.true(first.every(({ tookMs, startedAt }) => tookMs >= 0 && Date.parse(startedAt) > 0));
    t.is((await agent.deploy("shop", manifest("two"))).verdict, "healthy");
    t.is((await agent.get("/readyz")).status, 200);
    t.regex(await agent.ok("rollback", "shop"), /shop goes to/);
    await agent.untilApp("shop", ({ verdict }) => verdict === "rolled-back");
    t.regex(await agent.ok("why", "shop/web"), /environment.GREETING: two -> one/);
  },
);

serialKernelTest(
  "a canary goes first, and when it fails the other replica was never touched",
  async (t) => {
    const manifest = (greeting: string, more = "") =>
      greeter(greeting, `    scale: 2\n    x-berth: { canary: 3s }\n${more}`);
    const pids = async () =>
      Promise.all(
        ["twin-web-1", "twin-web-2"].map(async (name) => (await agent.container(name)).pid),
      );
    t.is((await agent.deploy("twin", manifest("one"))).verdict, "healthy");
    const [firstAtOne, secondAtOne] = await pids();
    const startedAt = performance.now();
    t.is((await agent.deploy("twin", manifest("two"))).verdict, "healthy");
    t.true(performance.now() - startedAt >= 3_000);
    const [firstAtTwo, secondAtTwo] = await pids();
    t.not(firstAtTwo, firstAtOne);
    t.not(secondAtTwo, secondAtOne);
    const sha = await agent.commit({
      "twin/compose.yaml": manifest("three", command("exit", "7")),
    });
    await untilTakenBack(sha, ["twin"]);
    t.is((await pids())[1], secondAtTwo);
  },
);

serialKernelTest(
  "with failure_action: continue or pause what fails stays, and is told of",
  async (t) => {
    for (const action of ["continue", "pause"]) {
      const manifest = (more = "") => `
services:
  web:
    image: ${image}
    scale: 3
${more}    deploy: { update_config: { failure_action: ${action}, monitor: 2s } }
`;
      t.is((await agent.deploy(action, manifest())).verdict, "healthy");
      const sha = await agent.commit({ [`${action}/compose.yaml`]: manifest(entrypoint) });
      const changed = async () =>
        (await agent.ps()).filter(({ app, revision }) => app === action && revision === sha).length;
      const wanted = action === "continue" ? 3 : 1;
      await eventually(
        async () => ((await changed()) === wanted ? true : undefined),
        `${wanted} changed`,
        60_000,
      );
      const { verdict, reason } = await agent.untilApp(
        action,
        (one) => one.verdict === "failed" && one.revision === sha,
      );
      t.is(verdict, "failed");
      t.regex(reason, /cannot execute \/bin\/nothing/);
      // Rounds with nothing new change neither.
      for (let round = 0; round < 3; round += 1) await agent.berth("sync", "--timeout", "4s");
      t.is(await changed(), wanted);
      t.is((await agent.deploy(action, manifest())).verdict, "healthy");
    }
  },
);

serialKernelTest(
  "with atomic: revision both apps of a commit go back when one of them fails",
  async (t) => {
    const files = (greeting: string, more = "") => ({
      "left/compose.yaml": greeter(greeting),
      "right/compose.yaml": greeter(greeting, more),
    });
    const berthYaml = "apps: { left: {}, right: {} }\nrollout: { atomic: revision }\n";
    const names = ["left-web-1", "right-web-1"];
    const greetings = () =>
      Promise.all(
        names.map(async (name) => {
          const { pid } = await agent.container(name);
          return /GREETING=(\w+)/.exec(readFileSync(`/proc/${pid}/environ`, "utf8"))?.[1];
        }),
      );
    await agent.commit({ "berth.yaml": berthYaml, ...files("one") });
    await agent.ok("sync");
    t.deepEqual(await greetings(), ["one", "one"]);
    const sha = await agent.commit(files("two", entrypoint));
    await untilTakenBack(sha, ["left", "right"]);
    t.deepEqual(await greetings(), ["one", "one"]);
    const history = JSON.parse(await agent.ok("history", "--json", "left")) as RolloutReport[];
    t.like(
      history.find(({ revision }) => revision === sha),
      { verdict: "rolled-back" },
    );
    await agent.commit(files("three"));
    await agent.ok("sync");
    t.deepEqual(await greetings(), ["three", "three"]);
  },
);

/** A service `web` with this in its environment. `more`: further lines of it. */
function greeter(greeting: string, more = ""): string {
  return `
services:
  web:
    image: ${image}
    restart: always
    environment: { GREETING: ${greeting} }
${more}`;
}

/** Until a commit is held back, and all of these apps run what they ran before. */
function untilTakenBack(sha: string, names: readonly string[]): Promise<StatusReport> {
  return agent.untilStatus(
    ({ apps, quarantined }) => {
      const isBack = (name: string) =>
        apps.some((app) => app.name === name && app.verdict === "rolled-back");
      return quarantined.includes(sha) && names.every(isBack);
    },
    `${names.join(" and ")} taken back`,
    40_000,
  );
}

const entrypoint = '    entrypoint: ["/bin/nothing"]\n';
const eatMemory = `    mem_limit: 32m
${command("eat-memory", "64")}`;

function command(...words: readonly string[]): string {
  return `    entrypoint: ${JSON.stringify(["/bin/probe", ...words])}\n`;
}
