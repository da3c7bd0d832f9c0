import { kernelTest } from "./kernel-test.ts";
import {
  execProbe,
  payloadSpec,
  probeSpec,
  runToEnd,
  statusOf,
  withRuntime,
} from "./runtime-harness.ts";

kernelTest("a program's exit code, signal and output are what it gave", (t) =>
  withRuntime(async ({ runtime }) => {
    const coded = await runToEnd(runtime, probeSpec(runtime, ["exit", "7"]));
    t.like(coded.exit, { code: 7, oomKilled: false });
    const killed = await runToEnd(runtime, probeSpec(runtime, ["raise", "11"]));
    t.like(killed.exit, { signal: 11, oomKilled: false });
    const printed = await runToEnd(runtime, probeSpec(runtime, ["lines", "10"]));
    t.regex(printed.stdout, /1/);
    t.not(printed.stderr, "");
  }),
);

kernelTest(
  "root inside is an unprivileged id outside, with eleven capabilities and a filter",
  (t) =>
    withRuntime(async ({ runtime }) => {
      const { stdout } = await runToEnd(runtime, probeSpec(runtime, ["cat", "/proc/self/status"]));
      t.regex(stdout, /^Uid:\t0\t0\t0\t0$/m);
      t.regex(stdout, /^CapEff:\t00000000800405fb$/m);
      t.regex(stdout, /^CapBnd:\t00000000800405fb$/m);
      t.regex(stdout, /^CapInh:\t0000000000000000$/m);
      t.regex(stdout, /^CapAmb:\t0000000000000000$/m);
      t.regex(stdout, /^Seccomp:\t2$/m);
      const map = await runToEnd(runtime, probeSpec(runtime, ["cat", "/proc/self/uid_map"]));
      const [inside, outside, count] = map.stdout.trim().split(/\s+/).map(Number);
      t.is(inside, 0);
      t.is(count, 65_536);
      t.true((outside ?? 0) >= 524_288);
    }),
);

kernelTest("two containers never share host ids, and a removed one gives its ids back", (t) =>
  withRuntime(async ({ runtime }) => {
    const map = async () => {
      const spec = probeSpec(runtime, ["cat", "/proc/self/uid_map"]);
      const { stdout } = await runToEnd(runtime, spec);
      return { id: spec.id, base: stdout.trim().split(/\s+/)[1] };
    };
    const [first, second] = [await map(), await map()];
    t.not(first.base, second.base);
    await runtime.removeContainer(first.id);
    t.is((await map()).base, first.base);
  }),
);

kernelTest("no descriptor beyond the three standard ones reaches the program", (t) =>
  withRuntime(async ({ runtime }) => {
    const { stdout } = await runToEnd(runtime, probeSpec(runtime, ["fds"]));
    const open = stdout
      .trim()
      .split("\n")
      .map((line) => Number.parseInt(line, 10));
    t.deepEqual(
      open.filter((fd) => fd > 2),
      [],
      stdout,
    );
  }),
);

kernelTest("environment, working directory, user and hostname come from image and container", (t) =>
  withRuntime(async ({ runtime }) => {
    const environment = { OWN: "1", FROM_IMAGE: "replaced" };
    const env = await runToEnd(runtime, probeSpec(runtime, ["env"], { environment }));
    t.regex(env.stdout, /^OWN=1$/m);
    t.regex(env.stdout, /^FROM_IMAGE=replaced$/m);
    t.regex(env.stdout, /^PATH=/m);
    t.regex(env.stdout, /^HOME=\/root$/m);
    const ids = await runToEnd(
      runtime,
      probeSpec(runtime, ["cat", "/proc/self/status"], { user: "web" }),
    );
    t.regex(ids.stdout, /^Uid:\t1000\t1000\t1000\t1000$/m);
    t.regex(ids.stdout, /^Groups:\t2000/m);
    t.regex(ids.stdout, /^CapEff:\t0000000000000000$/m);
    const hostname = probeSpec(runtime, ["cat", "/proc/sys/kernel/hostname"], { hostname: "quay" });
    t.is((await runToEnd(runtime, hostname)).stdout, "quay\n");
    const made = await runToEnd(
      runtime,
      probeSpec(runtime, ["ls", "."], { workingDir: "/new/place" }),
    );
    t.is(made.exit?.code, 0);
  }),
);

kernelTest("a program that the image does not have is named, and nothing of the start stays", (t) =>
  withRuntime(async ({ runtime }) => {
    const spec = probeSpec(runtime, [], { entrypoint: ["/bin/no-such-program"] });
    await runtime.createContainer(spec);
    const error = await t.throwsAsync(runtime.startContainer(spec.id));
    t.regex(error?.message ?? "", /cannot execute \/bin\/no-such-program: no such file/);
    const status = await statusOf(runtime, spec.id);
    t.is(status.state, "created");
    t.deepEqual(await runtime.processes(spec.id), []);
  }),
);

kernelTest("a user that the image does not have is refused before anything starts", (t) =>
  withRuntime(async ({ runtime }) => {
    const spec = probeSpec(runtime, ["exit", "0"], { user: "ghost" });
    await runtime.createContainer(spec);
    await t.throwsAsync(runtime.startContainer(spec.id), { message: /no such name/ });
  }),
);

kernelTest("SIGTERM ends a program that obeys; one that does not is killed after its grace", (t) =>
  withRuntime(async ({ runtime }) => {
    const obeys = probeSpec(runtime, ["on-term", "3"]);
    const ignores = probeSpec(runtime, ["ignore-term"]);
    for (const spec of [obeys, ignores]) {
      await runtime.createContainer(spec);
      await runtime.startContainer(spec.id);
      const ready = runtime.logs(spec.id, { follow: true, abort: AbortSignal.timeout(5000) });
      for await (const line of ready) if (line.text.startsWith("ready")) break;
    }
    const abort = AbortSignal.timeout(10_000);
    t.like(await runtime.stopContainer(obeys.id, { graceMs: 5000, abort }), { code: 3 });
    t.like(await runtime.stopContainer(ignores.id, { graceMs: 100, abort }), { signal: 9 });
  }),
);

kernelTest("exec joins the container with its rights, and gives back output and exit code", (t) =>
  withRuntime(async ({ runtime }) => {
    const spec = payloadSpec(runtime, "probe", ["sleep", "60"], { hostname: "quay" });
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    const status = await execProbe(runtime, spec.id, ["/bin/probe", "cat", "/proc/self/status"]);
    t.regex(status.stdout, /^CapEff:\t00000000800405fb$/m);
    t.regex(status.stdout, /^Seccomp:\t2$/m);
    const name = await execProbe(runtime, spec.id, ["probe", "cat", "/proc/sys/kernel/hostname"]);
    t.is(name.stdout, "quay\n");
    t.like((await execProbe(runtime, spec.id, ["/bin/probe", "exit", "42"])).exit, { code: 42 });
    await t.throwsAsync(execProbe(runtime, spec.id, ["no-such"]), { message: /no-such/ });
    const processes = await execProbe(runtime, spec.id, ["/bin/probe", "ls", "/proc"]);
    t.regex(processes.stdout, /^1\b/m);
  }),
);

kernelTest("a terminal has the size it was given and follows a resize", (t) =>
  withRuntime(async ({ runtime }) => {
    const spec = probeSpec(runtime, ["sleep", "60"]);
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    const session = await runtime.exec(spec.id, {
      argv: ["/bin/probe", "tty"],
      environment: {},
      tty: true,
      stdin: true,
      detach: false,
      terminal: { rows: 33, columns: 101 },
    });
    let seen = "";
    for await (const chunk of session.stdout) {
      seen += String(chunk);
      if (seen.includes("33") && !seen.includes("44")) session.resize({ rows: 44, columns: 120 });
      if (seen.includes("44")) break;
    }
    t.regex(seen, /33/);
    t.regex(seen, /101/);
    t.regex(seen, /120/);
    session.close();
  }),
);

kernelTest("pause stops every process and unpause lets it go on", (t) =>
  withRuntime(async ({ runtime }) => {
    const spec = probeSpec(runtime, ["lines", "1000000", "10"]);
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    await runtime.pauseContainer(spec.id);
    t.is((await statusOf(runtime, spec.id)).state, "paused");
    await runtime.unpauseContainer(spec.id);
    t.is((await statusOf(runtime, spec.id)).state, "running");
    await runtime.pauseContainer(spec.id);
    const exit = await runtime.stopContainer(spec.id, {
      graceMs: 1000,
      abort: AbortSignal.timeout(10_000),
    });
    t.true(exit.signal !== undefined || exit.code !== undefined);
  }),
);

kernelTest("memory and process limits hold, and the kernel's kill is told apart", (t) =>
  withRuntime(async ({ runtime }) => {
    const eater = probeSpec(runtime, ["eat-memory", "200"], {
      resources: { memoryBytesMax: 32 * 1024 * 1024 },
    });
    t.like((await runToEnd(runtime, eater)).exit, { signal: 9, oomKilled: true });
    const bomb = probeSpec(runtime, ["fork-bomb"], { resources: { pidsMax: 20 } });
    const { stdout } = await runToEnd(runtime, bomb);
    t.true(Number(/\d+/.exec(stdout)?.[0]) <= 20, stdout);
  }),
);
