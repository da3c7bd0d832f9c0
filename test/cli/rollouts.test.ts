import test from "ava";
import { startTestAgent } from "../api/test-agent.ts";
import { runBerth } from "./run-berth.ts";

test("history shows what was tried with its verdict and the evidence, or the layers of an image", async (t) => {
  const agent = await startTestAgent(t);
  const { stdout } = await runBerth(["--root", agent.root, "history", "shop"]);
  t.regex(
    stdout,
    /shop +1a2b3c4d1a2b +Greet with ahoy +commit .* rolled-back +shop-web-1 ended with exit code 3/,
  );
  const all = await runBerth(["--root", agent.root, "--json", "history"]);
  t.like(JSON.parse(all.stdout), [{ app: "shop", cause: "commit", verdict: "rolled-back" }]);
  const image = await runBerth(["--root", agent.root, "history", "web:1"]);
  t.regex(image.stdout, /ADD rootfs.tar/);
});

test("rollback, suspend and resume are passed on, and a revision that is none is refused", async (t) => {
  const agent = await startTestAgent(t);
  const run = (...args: readonly string[]) => runBerth(["--root", agent.root, ...args]);
  await run("rollback", "shop");
  const { stdout } = await run("rollback", "shop", "--to", "1a2b");
  t.regex(stdout, /shop goes to 1a2b3c4d1a2b/);
  t.is(
    (await run("suspend", "shop")).stdout,
    "shop is left alone from now on, until `berth resume shop`\n",
  );
  t.is(
    (await run("suspend")).stdout,
    "every app is left alone from now on, until `berth resume`\n",
  );
  t.is((await run("resume", "shop")).stdout, "shop is looked after again\n");
  t.deepEqual(agent.calls, [
    'rollback {"app":"shop"}',
    'rollback {"app":"shop","to":"1a2b"}',
    "suspend shop",
    "suspend all",
    "resume shop",
  ]);
  const wrong = await run("rollback", "shop", "--to", "main");
  t.is(wrong.code, 1);
  t.regex(wrong.stderr, /four or more hex digits of a commit are expected/);
});

test("why names the fields, the last end and the verdict", async (t) => {
  const agent = await startTestAgent(t);
  const { stdout } = await runBerth(["--root", agent.root, "why", "shop-web-1"]);
  t.regex(stdout, /shop-web-1 was made .* by revision 1a2b3c4d1a2b: Greet with ahoy \(Ann <ann@/);
  t.regex(stdout, /environment.GREETING: \(none\) -> ahoy/);
  t.regex(stdout, /with exit code 3, 1 restart so far/);
  t.regex(stdout, /is rolled-back: shop-web-1 ended with exit code 3/);
  t.regex(stdout, /after 0\.25 s: start-container, took 0\.02 s/);
});
