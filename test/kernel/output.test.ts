import { readdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { kernelTest } from "./kernel-test.ts";
import { collect, probeSpec, runToEnd, statusOf, withRuntime } from "./runtime-harness.ts";

kernelTest(
  "logs are json-file lines with stream and time, and tail and since choose among them",
  (t) =>
    withRuntime(async ({ runtime }) => {
      const spec = probeSpec(runtime, ["lines", "30"]);
      await runToEnd(runtime, spec);
      const abort = AbortSignal.timeout(5000);
      const all = await collect(runtime.logs(spec.id, { follow: false, abort }));
      t.is(all.length, 30);
      t.true(all.some(({ stream }) => stream === "stderr"));
      for (const { time } of all) t.regex(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
      const last = await collect(runtime.logs(spec.id, { tail: 3, follow: false, abort }));
      t.deepEqual(last, all.slice(-3));
      const later = { sinceMs: Date.now() + 60_000, follow: false, abort };
      t.deepEqual(await collect(runtime.logs(spec.id, later)), []);
    }),
);

kernelTest("logs rotate by size and keep to their count under a flood", (t) =>
  withRuntime(async ({ runtime }) => {
    const log = { fileBytesMax: 200_000, filesMax: 3 };
    const spec = probeSpec(runtime, ["flood", "5000000"], { log });
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    while ((await statusOf(runtime, spec.id)).state === "running") {
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
    const { logPath } = await statusOf(runtime, spec.id);
    const files = readdirSync(dirname(logPath)).filter((name) => name.startsWith("container.log"));
    t.is(files.length, 3, files.join(" "));
    for (const file of files) t.true(statSync(`${dirname(logPath)}/${file}`).size < 300_000);
  }),
);

kernelTest("an endless line is cut into pieces and loses nothing", (t) =>
  withRuntime(async ({ runtime }) => {
    const { stdout } = await runToEnd(runtime, probeSpec(runtime, ["line", "100000"]));
    t.is(stdout.trimEnd().length, 100_000);
  }),
);

kernelTest("attach shows the first process and feeds its input", (t) =>
  withRuntime(async ({ runtime }) => {
    const spec = probeSpec(runtime, ["echo"], { stdinOpen: true });
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    const session = await runtime.attach(spec.id, { stdin: true });
    session.stdin.end("said through attach\n");
    let seen = "";
    for await (const chunk of session.stdout) seen += String(chunk);
    t.is(seen, "said through attach\n");
    t.like(await session.exit, { code: 0 });
  }),
);
