import { buildTar, type TarEntry } from "../builders/tar.ts";
import { withHostileImage } from "../security/hostile-image.ts";
import { copyIn } from "./copied.ts";
import { kernelTest } from "./kernel-test.ts";
import { execProbe, probeSpec, withRuntime } from "./runtime-harness.ts";

const file = (path: string): TarEntry => ({
  type: "file",
  path,
  content: Buffer.from("x"),
  mode: 0o644,
});
const sleeper = ["sleep", "60000"];

kernelTest("a container that was only started has changed nothing", (t) =>
  withRuntime(async ({ runtime }) => {
    const spec = probeSpec(runtime, sleeper);
    await runtime.createContainer(spec);
    t.deepEqual(await runtime.changes(spec.id), []);
    await runtime.startContainer(spec.id);
    t.deepEqual(await runtime.changes(spec.id), []);
  }),
);

kernelTest("what was added, changed and deleted is told, running or not, mounts are not", (t) => {
  const layer = [
    file("app/kept"),
    file("app/old"),
    file("app/sub/a"),
    file("app/sub/b"),
    file("x/y"),
  ];
  return withHostileImage({ layer }, async ({ runtime, spec }) => {
    await runtime.ensureVolume({ name: "v", labels: {} });
    const mounts = [
      { type: "volume", volume: "v", target: "/app/sub/mounted", readOnly: false, copy: false },
    ] as const;
    const container = spec(sleeper, { mounts });
    const { id } = container;
    await runtime.createContainer(container);
    await copyIn(
      runtime,
      id,
      "/app",
      buildTar([file("old"), file("new/deep"), file("sub/mounted/n")]),
    );
    await runtime.startContainer(id);
    const run = async (...argv: string[]) => {
      const { exit, stderr } = await execProbe(runtime, id, ["/bin/probe", ...argv]);
      t.is(exit.code, 0, stderr);
    };
    await run("remove", "/x/y");
    await run("remove", "/app/sub/a");
    const read = async () => (await runtime.changes(id)).map(({ kind, path }) => `${kind} ${path}`);
    const expected = [
      "C /app",
      "A /app/new",
      "A /app/new/deep",
      "C /app/old",
      "C /app/sub",
      "D /app/sub/a",
      "A /app/sub/mounted",
      "C /x",
      "D /x/y",
    ];
    t.deepEqual(await read(), expected);
    // Made anew, the directory hides what the image has in it.
    await run("remove", "/x");
    t.deepEqual((await read()).slice(-1), ["D /x"]);
    await run("mkdir", "/x");
    await run("touch", "/x/z");
    t.deepEqual((await read()).slice(-3), ["C /x", "D /x/y", "A /x/z"]);
    await runtime.stopContainer(id, { graceMs: 0, abort: AbortSignal.timeout(20_000) });
    t.true((await read()).includes("D /app/sub/a"));
  });
});
