import test from "ava";
import { startTestAgent } from "../api/test-agent.ts";
import { runBerth } from "./run-berth.ts";

test("diff prints a letter and a path for each change", async (t) => {
  const { root } = await startTestAgent(t);
  t.is(
    (await runBerth(["diff", "--root", root, "web"])).stdout,
    "C /etc\nA /etc/new\nD /etc/old\n",
  );
  const json = JSON.parse((await runBerth(["diff", "--json", "--root", root, "web"])).stdout);
  t.deepEqual(json[1], { kind: "A", path: "/etc/new" });
});

test("volumes are listed, shown and removed by name", async (t) => {
  const { root, calls } = await startTestAgent(t);
  t.regex((await runBerth(["volume", "--root", root, "ls"])).stdout, /^data +.* web +\/v\/data$/m);
  const shown = await runBerth(["volume", "--root", root, "inspect", "data"]);
  t.is(JSON.parse(shown.stdout)[0].path, "/v/data");
  const missing = await runBerth(["volume", "--root", root, "inspect", "none"]);
  t.deepEqual(
    { code: missing.code, stderr: missing.stderr },
    { code: 1, stderr: "berth: cannot find a volume none: there are data\n" },
  );
  t.is((await runBerth(["volume", "--root", root, "rm", "data"])).stdout, "data\n");
  t.deepEqual(calls, ["removeVolume data"]);
  t.is((await runBerth(["volume", "--root", root, "eat"])).code, 2);
});

test("networks are listed and shown with who is in them", async (t) => {
  const { root } = await startTestAgent(t);
  const { stdout } = await runBerth(["network", "--root", root, "ls"]);
  t.regex(stdout, /^shop_default +10\.210\.0\.0\/24 +10\.210\.0\.1 +bt0 +no +1$/m);
  const shown = await runBerth(["network", "--root", root, "inspect", "shop_default"]);
  t.deepEqual(JSON.parse(shown.stdout)[0].containers, { web: "10.210.0.2" });
});
