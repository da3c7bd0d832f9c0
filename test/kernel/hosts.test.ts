import { truncateSync } from "node:fs";
import type { ContainerSpec } from "../../runtime/container-spec.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { kernelTest } from "./kernel-test.ts";
import { eventually, probeSpec, sessionResult, statusOf, withRuntime } from "./runtime-harness.ts";

/** Starts one that sleeps, with its aliases in each network. */
async function start(
  runtime: Runtime,
  name: string,
  aliases: Readonly<Record<string, readonly string[]>>,
): Promise<ContainerSpec> {
  const spec = probeSpec(runtime, ["sleep", "60000"], {
    name,
    networks: Object.entries(aliases).map(([network, names]) => ({ network, aliases: names })),
    extraHosts: [{ name: "printer", address: "192.0.2.7" }],
  });
  await runtime.createContainer(spec);
  await runtime.startContainer(spec.id);
  return spec;
}

/** Resolves once the file's names, without the container's own, are these. */
async function seesNames(runtime: Runtime, spec: ContainerSpec, names: readonly string[]) {
  const own = 7;
  const look = async () => {
    const argv = ["/bin/probe", "cat", "/etc/hosts"];
    const session = await runtime.exec(spec.id, {
      argv,
      environment: {},
      tty: false,
      stdin: false,
      detach: false,
    });
    const { stdout } = await sessionResult(session);
    const others = stdout.trimEnd().split("\n").slice(own);
    return others
      .map((line) => line.split("\t")[1])
      .toSorted()
      .join() === names.join()
      ? true
      : undefined;
  };
  await eventually(look, `${spec.name} to see ${names.join()}`);
}

kernelTest("a running container's hosts file follows who is on its networks", (t) =>
  withRuntime(async ({ runtime }) => {
    for (const name of ["front", "back"]) {
      await runtime.ensureNetwork({ name, labels: {}, internal: false });
    }
    const web = await start(runtime, "web", { front: ["www"] });
    const db = await start(runtime, "db", { back: [] });
    await seesNames(runtime, web, ["printer"]);
    const proxy = await start(runtime, "proxy", { front: ["edge"], back: ["inner"] });
    await seesNames(runtime, web, ["printer", "proxy edge"]);
    await seesNames(runtime, db, ["printer", "proxy inner"]);
    await start(runtime, "cache", { back: [] });
    await seesNames(runtime, db, ["cache", "printer", "proxy inner"]);
    await runtime.stopContainer(proxy.id, { graceMs: 0, abort: AbortSignal.timeout(5000) });
    await runtime.removeContainer(proxy.id);
    await seesNames(runtime, web, ["printer"]);
    await seesNames(runtime, db, ["cache", "printer"]);
    t.pass();
  }),
);

kernelTest("a container that makes its hosts file huge holds up nobody", (t) =>
  withRuntime(async ({ runtime }) => {
    await runtime.ensureNetwork({ name: "front", labels: {}, internal: false });
    const spec = await start(runtime, "web", { front: [] });
    const { pid } = await statusOf(runtime, spec.id);
    const file = `/proc/${pid}/root/etc/hosts`;
    // No string of the agent's can hold the first of them, no buffer the second.
    for (const bytes of [2 ** 30, 5 * 2 ** 30]) {
      truncateSync(file, 0);
      truncateSync(file, bytes);
      const { drift } = await runtime.observe();
      const found = drift.filter(({ kind }) => kind === "file-changed");
      t.deepEqual(
        found.map(({ field }) => field),
        ["/etc/hosts"],
      );
      t.true(found.every(({ from }) => from.length <= 200));
      await runtime.repair(drift);
      await seesNames(runtime, spec, ["printer"]);
      t.deepEqual((await runtime.observe()).drift, []);
    }
  }),
);
