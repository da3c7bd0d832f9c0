import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { attachToContainer } from "../../runtime/helper/supervisor-session.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { kernelTest } from "./kernel-test.ts";
import { eventually, probeSpec, sessionResult, statusOf, withRuntime } from "./runtime-harness.ts";

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

kernelTest("what an attached session is sent reaches the first process", (t) =>
  withRuntime(async ({ runtime }) => {
    const spec = probeSpec(runtime, ["on-term", "5"]);
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    const session = await runtime.attach(spec.id, { stdin: false });
    await eventually(
      async () => readFileSync((await statusOf(runtime, spec.id)).logPath, "utf8") || undefined,
      "the first line",
    );
    session.signal(15);
    t.is((await session.exit).code, 5);
  }),
);

kernelTest(
  "who owns a container has all that it writes, and the end of input comes with its end",
  (t) =>
    withRuntime(async ({ runtime }) => {
      const spec = probeSpec(runtime, ["flood", "2000000"]);
      await runtime.createContainer(spec);
      const { session } = await runtime.runContainer(spec.id, { stdin: false });
      // Nothing is read while it writes: it waits.
      await new Promise((resolve) => {
        setTimeout(resolve, 1000);
      });
      t.is((await statusOf(runtime, spec.id)).state, "running");
      const { stdout, exit } = await sessionResult(session);
      t.is(stdout.length, 2_000_000);
      t.is(exit.code, 0);
      const reader = probeSpec(runtime, ["echo"], { stdinOpen: true });
      await runtime.createContainer(reader);
      const owned = await runtime.runContainer(reader.id, { stdin: true });
      owned.session.close();
      await eventually(
        async () => ((await statusOf(runtime, reader.id)).state === "exited" ? true : undefined),
        "its end",
      );
      const kept = probeSpec(runtime, ["echo"], { stdinOpen: true });
      await runtime.createContainer(kept);
      const letGo = await runtime.runContainer(kept.id, { stdin: true });
      letGo.session.signal(0);
      letGo.session.close();
      const later = await runtime.attach(kept.id, { stdin: true });
      later.stdin.end("still");
      t.is((await sessionResult(later)).stdout, "still");
    }),
);

kernelTest(
  "a program that is not there leaves no process of a container that was held for its owner",
  (t) =>
    withRuntime(async ({ runtime, instance }) => {
      const spec = probeSpec(runtime, [], { entrypoint: ["/none"] });
      await runtime.createContainer(spec);
      const error = await t.throwsAsync(runtime.runContainer(spec.id, { stdin: false }));
      t.regex(error?.message ?? "", /\/none: no such file/);
      t.is((await statusOf(runtime, spec.id)).state, "created");
      t.deepEqual(await runtime.processes(spec.id), [], instance);
    }),
);

kernelTest("a container that is held ends with an owner who goes before it runs", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const spec = probeSpec(runtime, ["sleep", "60000"]);
    await runtime.createContainer(spec);
    const socketPath = join(root, "run", "copies", spec.id.slice(0, 16), "ctl.sock");
    // What copies are made in is held, too.
    const copy = await runtime.copy(spec.id, {
      direction: "out",
      path: "/bin",
      followLink: false,
      entryName: ".",
      bytesMax: 1e9,
      entriesMax: 1000,
    });
    const owner = await attachToContainer({ socketPath }, { stdin: false, owner: true });
    owner.close();
    await eventually(async () => (existsSync(socketPath) ? undefined : true), "its end");
    copy.close();
    t.pass();
  }),
);
