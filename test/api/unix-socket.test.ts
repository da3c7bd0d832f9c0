import { mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { startApi } from "../../agent/api/start-api.ts";
import { createSampleControl } from "./sample-control.ts";
import { ask, silent, startTestAgent } from "./test-agent.ts";

test("the socket is private, and gone after closing", async (t) => {
  const agent = await startTestAgent(t);
  t.is((await stat(agent.socketPath)).mode & 0o777, 0o600);
  t.is((await stat(join(agent.root, "run"))).mode & 0o777, 0o700);
  await agent.api.close();
  await t.throwsAsync(stat(agent.socketPath), { code: "ENOENT" });
});

test("a second agent is refused while the first answers, and the first goes on", async (t) => {
  const agent = await startTestAgent(t);
  const { control } = createSampleControl();
  const second = startApi({ control, socketPath: agent.socketPath, listen: null, log: silent });
  await t.throwsAsync(second, { message: /another agent answers there/ });
  t.is((await ask(agent, { path: "/v1/status" })).status, 200);
});

test("what a dead agent left at the socket's path is replaced", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "bt-api-"));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const socketPath = join(root, "agent.sock");
  const dead = createServer();
  await new Promise<void>((resolve) => {
    dead.listen(join(root, "first.sock"), resolve);
  });
  await rename(join(root, "first.sock"), socketPath);
  await new Promise((resolve) => {
    dead.close(resolve);
  });
  const api = await startApi({
    control: createSampleControl().control,
    socketPath,
    listen: null,
    log: silent,
  });
  t.teardown(() => api.close());
  t.is((await ask({ socketPath }, { path: "/v1/status" })).status, 200);
});

test("a path that is too long for a socket is refused with a way out", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "bt-api-"));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const socketPath = join(root, "x".repeat(120), "agent.sock");
  await t.throwsAsync(
    startApi({ control: createSampleControl().control, socketPath, listen: null, log: silent }),
    {
      message: /a shorter --root is expected/,
    },
  );
});

test("closing leaves a socket alone that somebody else put there since", async (t) => {
  const agent = await startTestAgent(t);
  await rm(agent.socketPath);
  await writeFile(agent.socketPath, "not ours");
  await agent.api.close();
  t.true((await stat(agent.socketPath)).isFile());
});
