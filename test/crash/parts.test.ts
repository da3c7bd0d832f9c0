import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { AgentEvent, PsEntry } from "../../agent/control/control.ts";
import { Volumes } from "../../runtime/containers/volumes.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { eventually, probeSpec, statusOf, withRuntime } from "../kernel/runtime-harness.ts";
import { CrashHost } from "./crash-host.ts";
import { commandName, inventoryNames, livingContainers, supervisorsOf } from "./inventory.ts";
import { withTemplates } from "./scenario.ts";

kernelTest(
  "a launcher that is killed while it starts containers is replaced, and all of them run",
  (t) =>
    withHost(async (host) => {
      await host.moveTo("deploy");
      host.start(null);
      const killed = new Set<number>();
      while (killed.size < 3) {
        // Created, so about to be started.
        await eventually(
          () => inventoryNames(host).length > killed.size || undefined,
          "a container",
        );
        const launcher = await eventually(() => launcherOf(host, killed), "another launcher");
        process.kill(launcher, "SIGKILL");
        killed.add(launcher);
      }
      t.true(await host.converged());
      t.deepEqual(host.duplicates, []);
      t.regex(await host.curl(), /GREETING=/);
      const names = (await host.ps()).map(({ name }) => name).sort();
      t.deepEqual(names, ["shop-db-1", "shop-web-1", "side-idle-1"]);
      t.is(supervisorsOf(host.instance).length, names.length + 1);
    }),
);

kernelTest(
  "a container whose supervisor is killed ends with an unknown exit and comes back alone",
  (t) =>
    withHost(async (host) => {
      await host.moveTo("deploy");
      host.start(null);
      t.true(await host.converged());
      const before = livingContainers(host);
      const web = before.find(({ name }) => name === "shop-web-1");
      if (web === undefined) throw new Error("cannot find shop-web-1 among the living");
      process.kill(parentOf(web.pid), "SIGKILL");
      await eventually(
        () =>
          livingContainers(host).some(({ name, pid }) => name === web.name && pid !== web.pid) ||
          undefined,
        "the container again",
      );
      t.true(await host.converged());
      const exit = await lastExit(host, "shop-web-1");
      t.false("code" in exit);
      t.false("signal" in exit);
      const others = (list: typeof before) => list.filter(({ name }) => name !== "shop-web-1");
      t.deepEqual(others(livingContainers(host)), others(before));
      t.regex(await host.curl(), /GREETING=/);
    }),
);

kernelTest("the exit code of a container that ended while no agent ran is reported", (t) =>
  withHost(async (host) => {
    await host.moveTo("deploy");
    host.start(null);
    t.true(await host.converged());
    await host.killAgent();
    await host.curl("/crash?code=41").catch(() => "");
    await eventually(
      () => !livingContainers(host).some(({ name }) => name === "shop-web-1") || undefined,
      "the end of web",
    );
    host.start(null);
    t.true(await host.converged());
    t.is((await lastExit(host, "shop-web-1")).code, 41);
    const ps = await host.ps();
    t.like(ps.find(({ name }) => name === "shop-web-1") satisfies PsEntry | undefined, {
      state: "running",
    });
  }),
);

kernelTest(
  "an end that an agent saw, but was killed before it acted on, is told to the next one",
  (t) =>
    withRuntime(async ({ runtime, reopen }) => {
      const spec = probeSpec(runtime, ["exit", "7"]);
      await runtime.createContainer(spec);
      await runtime.startContainer(spec.id);
      await eventually(
        async () => (await statusOf(runtime, spec.id)).state === "exited" || undefined,
        "its end",
      );
      for (const expected of [[7], []]) {
        const next = await reopen();
        const codes: unknown[] = [];
        next.onExit((_, { code }) => codes.push(code));
        t.deepEqual(codes, expected);
      }
    }),
);

kernelTest(
  "a volume whose removal was cut short is gone at once, and can be made anew",
  async (t) => {
    const libDir = mkdtempSync(join(tmpdir(), "btc-"));
    const state = new DatabaseSync(":memory:");
    const open = (removeTree: (path: string) => Promise<void>) =>
      new Volumes({ libDir, state, now: Date.now, removeTree });
    try {
      const killed = open(() => Promise.reject(new Error("killed")));
      killed.ensure({ name: "data", labels: {} });
      await t.throwsAsync(killed.remove("data", []), { message: "killed" });
      const next = open((path) => rm(path, { recursive: true }));
      t.deepEqual(next.list(new Map()), []);
      next.ensure({ name: "data", labels: {} });
      await next.finishRemovals();
      t.deepEqual(
        next.list(new Map()).map(({ name }) => name),
        ["data"],
      );
      t.deepEqual(readdirSync(join(libDir, "volumes")), ["data"]);
    } finally {
      state.close();
      rmSync(libDir, { recursive: true, force: true });
    }
  },
);

function withHost(work: (host: CrashHost) => Promise<void>): Promise<void> {
  return withTemplates(1, async ([template]) => {
    if (template === undefined) throw new Error("cannot begin: no template was made");
    await CrashHost.use(template, work);
  });
}

function launcherOf(host: CrashHost, except: ReadonlySet<number>): number | undefined {
  return supervisorsOf(host.instance).find(
    (pid) => commandName(pid) === "berth-launcher" && !except.has(pid),
  );
}

function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

async function lastExit(host: CrashHost, name: string): Promise<AgentEvent["fields"]> {
  return eventually(async () => {
    const events = await host.events();
    return events.findLast(({ kind, target }) => kind === "container.exited" && target === name)
      ?.fields;
  }, `the exit of ${name}`);
}
