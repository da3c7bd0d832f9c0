import test from "ava";
import { DetachKeys } from "../../cli/detach-keys.ts";
import { samplePs } from "../api/sample-control.ts";
import { startTestAgent } from "../api/test-agent.ts";
import { runBerth } from "./run-berth.ts";

test("attach shows the first process and passes input on, byte for byte", async (t) => {
  const { root, calls } = await startTestAgent(t);
  const { code, stdout } = await runBerth(["attach", "--root", root, "web"], "in\u0010\u0011put");
  t.is(stdout, "attached\nin\u0010\u0011put");
  t.is(code, 0);
  t.deepEqual(calls, ['attach web {"stdin":true}']);
});

test("attach --no-stdin only looks", async (t) => {
  const { root, calls } = await startTestAgent(t);
  const { stdout } = await runBerth(["attach", "--no-stdin", "--root", root, "web"], "input");
  t.is(stdout, "attached\n");
  t.deepEqual(calls, ['attach web {"stdin":false}']);
});

test("exec -d starts the command and comes back at once", async (t) => {
  const { root, calls } = await startTestAgent(t);
  const { code, stdout } = await runBerth(["exec", "-d", "--root", root, "web", "sleep", "5"]);
  t.deepEqual({ code, stdout }, { code: 0, stdout: "" });
  t.deepEqual(calls, ["exec web sleep 5"]);
});

test("top lists processes by both of their numbers", async (t) => {
  const { root } = await startTestAgent(t);
  const { stdout } = await runBerth(["top", "--root", root, "web"]);
  t.regex(stdout, /^PID +HOST PID +UID/);
  t.regex(stdout, /^1 +4711 +0 +S +1(\.0)? MiB +1\.23s +web --listen$/m);
});

test("wait prints exit codes, pause and unpause act on every name", async (t) => {
  const { root, calls } = await startTestAgent(t);
  t.is((await runBerth(["wait", "--root", root, "web", "db"])).stdout, "3\n3\n");
  t.is((await runBerth(["pause", "--root", root, "web", "db"])).stdout, "web\ndb\n");
  t.is((await runBerth(["unpause", "--root", root, "web"])).code, 0);
  t.deepEqual(calls, ["pause web", "pause db", "unpause web"]);
});

test("port says where the host listens", async (t) => {
  const { root } = await startTestAgent(t);
  const { stdout } = await runBerth(["port", "--root", root, samplePs.name]);
  t.is(stdout, "80/tcp -> 0.0.0.0:8080\n");
});

test("the detach keys are found across chunks, and a lone Ctrl-P is passed on", (t) => {
  const keys = new DetachKeys();
  const filter = (text: string) => {
    const { bytes, detached } = keys.filter(Buffer.from(text));
    return [bytes.toString(), detached];
  };
  t.deepEqual(filter("ab\u0010"), ["ab", false]);
  t.deepEqual(filter("c"), ["\u0010c", false]);
  t.deepEqual(filter("\u0010\u0010"), ["\u0010", false]);
  t.deepEqual(filter("\u0011after"), ["", true]);
});

test("cp passes archives on in both directions and says what the copier said", async (t) => {
  const { root, calls } = await startTestAgent(t);
  const into = await runBerth(["cp", "--root", root, "-", "web:/data"], Buffer.alloc(1024));
  t.deepEqual({ code: into.code, stderr: into.stderr }, { code: 0, stderr: "berth: 1024\n" });
  const from = await runBerth(["cp", "--root", root, "web:/data/x", "-"]);
  t.is(from.stdout, "archive");
  t.regex(calls[0] ?? "", /^copy web \/data \{"direction":"in","extract":true,/);
  t.regex(calls[1] ?? "", /^copy web \/data\/x .*"entryName":"x"/);
  t.regex((await runBerth(["cp", "--root", root, "a", "b"])).stderr, /neither is a container/);
});
