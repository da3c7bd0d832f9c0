import { readFileSync } from "node:fs";
import type { Runtime } from "../../runtime/runtime.ts";
import { kernelTest } from "./kernel-test.ts";
import { eventually, probeSpec, statusOf, withRuntime } from "./runtime-harness.ts";

const sleeper = ["/bin/probe", "sleep", "60000"];
const plain = { environment: {}, tty: false, stdin: false, detach: false } as const;

async function startSleeper(runtime: Runtime): Promise<string> {
  const spec = probeSpec(runtime, ["sleep", "60000"]);
  await runtime.createContainer(spec);
  await runtime.startContainer(spec.id);
  return spec.id;
}

/** Resolves once the container has as many processes. */
async function processesBecome(runtime: Runtime, id: string, count: number): Promise<void> {
  const ask = async () => ((await runtime.processes(id)).length === count ? true : undefined);
  await eventually(ask, `${count} processes`);
}

for (const tty of [false, true]) {
  const how = tty ? "a terminal" : "pipes";
  kernelTest(`an exec with ${how} ends with its session, unless it was let go first`, (t) =>
    withRuntime(async ({ runtime }) => {
      const id = await startSleeper(runtime);
      const held = await runtime.exec(id, { ...plain, argv: sleeper, tty });
      await processesBecome(runtime, id, 2);
      held.close();
      await processesBecome(runtime, id, 1);
      const free = await runtime.exec(id, { ...plain, argv: sleeper, tty });
      free.signal(0);
      free.close();
      await new Promise((resolve) => {
        setTimeout(resolve, 1500);
      });
      t.is((await runtime.processes(id)).length, 2);
      t.regex(readFileSync(`/proc/${free.pid}/cmdline`, "utf8"), /sleep/);
    }),
  );
}

kernelTest(
  "a detached exec outlives its session, with the user, directory and variables it was given",
  (t) =>
    withRuntime(async ({ runtime }) => {
      const id = await startSleeper(runtime);
      const session = await runtime.exec(id, {
        ...plain,
        argv: sleeper,
        detach: true,
        user: "web",
        workingDir: "/data",
        environment: { OWN: "1" },
      });
      session.close();
      await new Promise((resolve) => {
        setTimeout(resolve, 1500);
      });
      const read = (name: string) => readFileSync(`/proc/${session.pid}/${name}`, "utf8");
      t.regex(read("environ"), /OWN=1/);
      t.regex(read("status"), /^Groups:\t\d+ ?$/m);
      t.regex(read("status"), /^CapEff:\t0000000000000000$/m);
    }),
);

kernelTest("an output that nobody takes after it was let go does not stop the process", (t) =>
  withRuntime(async ({ runtime }) => {
    const id = await startSleeper(runtime);
    const argv = ["/bin/probe", "flood", "4000000"];
    const session = await runtime.exec(id, { ...plain, argv });
    session.signal(0);
    session.close();
    await processesBecome(runtime, id, 1);
    t.is((await statusOf(runtime, id)).state, "running");
  }),
);
