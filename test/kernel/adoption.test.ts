import { readdirSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { kernelTest } from "./kernel-test.ts";
import { eventually, execProbe, probeSpec, statusOf, withRuntime } from "./runtime-harness.ts";

kernelTest("a restarted agent finds its containers running, untouched", (t) =>
  withRuntime(async ({ runtime, reopen }) => {
    const spec = probeSpec(runtime, ["sleep", "60"]);
    await runtime.createContainer(spec);
    const { pid } = await runtime.startContainer(spec.id);
    const next = await reopen();
    t.like(await statusOf(next, spec.id), { state: "running", pid });
    t.like((await execProbe(next, spec.id, ["/bin/probe", "exit", "5"])).exit, { code: 5 });
  }),
);

kernelTest("the exit code of what ended while no agent ran is known", (t) =>
  withRuntime(async ({ runtime, reopen, root }) => {
    const spec = probeSpec(runtime, ["on-term", "9"]);
    await runtime.createContainer(spec);
    const { pid } = await runtime.startContainer(spec.id);
    for await (const line of runtime.logs(spec.id, {
      follow: true,
      abort: AbortSignal.timeout(5000),
    })) {
      if (line.text.startsWith("ready")) break;
    }
    await runtime.close();
    process.kill(pid, "SIGTERM");
    await eventually(() => exitFiles(root).includes("exit.json") || undefined, "an exit record");
    const next = await reopen();
    const exits: unknown[] = [];
    next.onExit((id, exit) => exits.push([id, exit.code]));
    t.deepEqual(exits, [[spec.id, 9]]);
    t.like(await statusOf(next, spec.id), { state: "exited" });
  }),
);

kernelTest("a killed supervisor ends its container with an unknown exit, never with 0", (t) =>
  withRuntime(async ({ runtime }) => {
    const spec = probeSpec(runtime, ["sleep", "60"]);
    await runtime.createContainer(spec);
    const { pid } = await runtime.startContainer(spec.id);
    const supervisor = parentOf(pid);
    const ended = new Promise((resolve) => {
      runtime.onExit((_, exit) => resolve(exit));
    });
    process.kill(supervisor, "SIGKILL");
    const exit = await ended;
    t.like(exit as object, { oomKilled: false });
    t.false("code" in (exit as object));
    t.like(await statusOf(runtime, spec.id), { state: "exited" });
  }),
);

kernelTest("after a reboot the containers of before are known and start again", (t) =>
  withRuntime(async ({ runtime, reopen, root }) => {
    const spec = probeSpec(runtime, ["exit", "0"]);
    await runtime.createContainer(spec);
    await runtime.close();
    const live = new DatabaseSync(`${root}/live.db`);
    live.exec("delete from runtime_containers");
    live.close();
    const next = await reopen();
    t.like(await statusOf(next, spec.id), { state: "exited" });
    await next.startContainer(spec.id);
    await eventually(
      async () => (await statusOf(next, spec.id)).exit?.code === 0 || undefined,
      "its end",
    );
    t.pass();
  }),
);

function exitFiles(root: string): string[] {
  return readdirSync(`${root}/run/containers`, { recursive: true }).map((path) =>
    String(path).split("/").slice(-1).join(""),
  );
}

function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}
