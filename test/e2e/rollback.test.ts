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
    const manifest = (greeting: string, more = "") => `
services:
  web:
    image: ${image}
    restart: always
    environment: { GREETING: ${greeting} }
    ports: ["127.0.0.1:${port}:8080"]
${more}`;
    t.is((await agent.deploy("shop", manifest("one"))).verdict, "healthy");
    const failures = [
      ["out of memory", /ran out of memory: the kernel killed/, eatMemory],
      ["an exit", /ended with exit code 7|restarted 3 times/, command("exit", "7")],
      ["no such program", /cannot execute \/bin\/nothing/, entrypoint],
    ] as const;
    for (const [what, evidence, more] of failures) {
      const sha = await agent.commit({ "shop/compose.yaml": manifest(what, more) });
      const status = await agent.untilStatus(
        ({ apps, quarantined }) =>
          quarantined.includes(sha) &&
          apps.some(({ name, verdict }) => name === "shop" && verdict === "rolled-back"),
        `${what} taken back`,
        40_000,
      );
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
    const history = await agent.ok("history", "shop");
    t.is(history.match(/rolled-back/g)?.length, failures.length);
    t.is((await agent.deploy("shop", manifest("two"))).verdict, "healthy");
    t.is((await agent.get("/readyz")).status, 200);
    t.regex(await agent.ok("rollback", "shop"), /shop goes to/);
    await agent.untilApp("shop", ({ verdict }) => verdict === "rolled-back");
    t.regex(await agent.ok("why", "shop/web"), /environment.GREETING: two -> one/);
  },
);

const entrypoint = '    entrypoint: ["/bin/nothing"]\n';
const eatMemory = `    mem_limit: 32m
${command("eat-memory", "64")}`;

function command(...words: readonly string[]): string {
  return `    entrypoint: ${JSON.stringify(["/bin/probe", ...words])}\n`;
}
