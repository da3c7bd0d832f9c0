import { readFileSync } from "node:fs";
import { systemClock } from "../../agent/clock.ts";
import { runProbe } from "../../agent/health/probe.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import {
  eventually,
  execProbe,
  probeSpec,
  statusOf,
  withRuntime,
} from "../kernel/runtime-harness.ts";

const plain = { environment: {}, tty: false, stdin: false, detach: false } as const;
const exits = ["/bin/probe", "exit", "0"];

async function start(runtime: Runtime, argv: readonly string[]): Promise<string> {
  const spec = probeSpec(runtime, argv);
  await runtime.createContainer(spec);
  await runtime.startContainer(spec.id);
  return spec.id;
}

async function onlyFirstIsLeft(runtime: Runtime, id: string): Promise<void> {
  const ask = async () => ((await runtime.processes(id)).length === 1 ? true : undefined);
  await eventually(ask, "the container's first process alone");
}

/** Whether SIGKILL waits for the process. */
function isKilled(pid: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const pending = [...status.matchAll(/^S(?:ig|hd)Pnd:\t([0-9a-f]+)$/gm)];
  return pending.some(([, mask = "0"]) => (BigInt(`0x${mask}`) & 0x100n) !== 0n);
}

const check = {
  test: ["CMD", ...exits],
  intervalMs: 1000,
  timeoutMs: 500,
  retries: 1,
  startPeriodMs: 0,
  startIntervalMs: 1000,
};

kernelTest("an exec that the container keeps from starting is given up after ten seconds", (t) =>
  withRuntime(async ({ runtime }) => {
    const id = await start(runtime, ["sleep", "60000"]);
    await runtime.pauseContainer(id);
    const begunMs = Date.now();
    await t.throwsAsync(runtime.exec(id, { ...plain, argv: exits }), {
      message: /not started within 10000 ms/,
    });
    t.true(Date.now() - begunMs < 20_000);
    await runtime.unpauseContainer(id);
    await onlyFirstIsLeft(runtime, id);
    t.is((await execProbe(runtime, id, exits)).exit.code, 0);
  }),
);

for (const detach of [false, true]) {
  const what = detach ? "a detached exec" : "an exec";
  kernelTest(`${what} that is given up before it started never runs its program`, (t) =>
    withRuntime(async ({ runtime }) => {
      const id = await start(runtime, ["sleep", "60000"]);
      const { pid } = await statusOf(runtime, id);
      await runtime.pauseContainer(id);
      const abort = AbortSignal.timeout(300);
      const argv = ["/bin/probe", "touch", "/made"];
      await t.throwsAsync(runtime.exec(id, { ...plain, argv, detach }, { abort }), {
        name: "TimeoutError",
      });
      // Frozen as it is, it dies when it is thawed.
      await eventually(async () => {
        const [other] = (await runtime.processes(id)).filter((found) => found !== pid);
        return other === undefined || isKilled(other) ? true : undefined;
      }, "the exec killed");
      await runtime.unpauseContainer(id);
      await onlyFirstIsLeft(runtime, id);
      t.not((await execProbe(runtime, id, ["/bin/probe", "stat", "/made"])).exit.code, 0);
    }),
  );
}

kernelTest("a health probe that the container's root stops has failed when its time is over", (t) =>
  withRuntime(async ({ runtime }) => {
    const id = await start(runtime, ["stop-others"]);
    for (let i = 0; i < 3; i += 1) {
      const begunMs = Date.now();
      const result = await runProbe({
        runtime,
        containerId: id,
        // It may have begun before it is stopped.
        check: { ...check, test: ["CMD", "/bin/probe", "sleep", "60000"] },
        clock: systemClock,
        abort: AbortSignal.timeout(20_000),
      });
      t.false(result.ok);
      t.regex(result.output, /no answer within 500 ms/);
      t.true(Date.now() - begunMs < 5000);
    }
    await onlyFirstIsLeft(runtime, id);
  }),
);

kernelTest("a health probe of a paused container has failed when its time is over", (t) =>
  withRuntime(async ({ runtime }) => {
    const id = await start(runtime, ["sleep", "60000"]);
    await runtime.pauseContainer(id);
    const result = await runProbe({
      runtime,
      containerId: id,
      check,
      clock: systemClock,
      abort: AbortSignal.timeout(20_000),
    });
    t.deepEqual(result, { ok: false, output: "no answer within 500 ms" });
    await runtime.unpauseContainer(id);
    await onlyFirstIsLeft(runtime, id);
  }),
);
