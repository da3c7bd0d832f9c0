import { createHash } from "node:crypto";
import { chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Mount } from "../../runtime/container-spec.ts";
import { LAYER_ID_BASE } from "../../runtime/images/layer-ids.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { kernelTest } from "./kernel-test.ts";
import {
  type Bench,
  collect,
  eventually,
  execProbe,
  probeSpec,
  statusOf,
  withRuntime,
} from "./runtime-harness.ts";

type Tree = Extract<Mount, { type: "tree" }>;

/** A file, or a directory where the files are named. */
function tree({ root }: Bench, files: string | Readonly<Record<string, string>>): string {
  const digest = createHash("sha256").update(JSON.stringify(files)).digest("hex");
  const place = join(root, "lib", "trees", digest, "root");
  const all = typeof files === "string" ? { "": files } : files;
  for (const [name, text] of Object.entries(all)) {
    const path = join(place, name);
    mkdirSync(dirname(path), { recursive: true });
    if (name !== "") chownSync(dirname(path), LAYER_ID_BASE, LAYER_ID_BASE);
    writeFileSync(path, text);
    chownSync(path, LAYER_ID_BASE, LAYER_ID_BASE);
  }
  return digest;
}

const mountOf = (digest: string, target: string): Tree => ({ type: "tree", tree: digest, target });

const cat = async (runtime: Runtime, id: string, path: string) =>
  (await execProbe(runtime, id, ["/bin/probe", "cat", path])).stdout;

const logOf = async (runtime: Runtime, id: string) =>
  (await collect(runtime.logs(id, { follow: false, abort: AbortSignal.timeout(5_000) })))
    .map(({ text }) => text)
    .join("");

const untilLogged = (runtime: Runtime, id: string, text: string) =>
  eventually(
    async () => ((await logOf(runtime, id)).includes(text) ? true : undefined),
    `"${text}" in the log`,
  );

kernelTest("a running container sees other files, gets the signal, and keeps its process", (t) =>
  withRuntime(async (bench) => {
    const { runtime } = bench;
    const conf = "/etc/app/app.conf";
    const spec = probeSpec(runtime, ["on-hup", conf], {
      mounts: [
        mountOf(tree(bench, "one\n"), conf),
        mountOf(tree(bench, { kept: "old\n", gone: "bye\n" }), "/etc/many"),
      ],
    });
    await runtime.createContainer(spec);
    const { pid } = await runtime.startContainer(spec.id);
    await untilLogged(runtime, spec.id, "one\n");
    const mounted = readFileSync(`/proc/${pid}/mountinfo`, "utf8").split("\n").length;
    for (const [index, text] of ["two\n", "three\n", "four\n"].entries()) {
      await runtime.reloadContainer(spec.id, {
        mounts: [
          mountOf(tree(bench, text), conf),
          mountOf(tree(bench, { kept: text }), "/etc/many"),
        ],
        labels: { turn: `${index}` },
        signal: "SIGHUP",
      });
      await untilLogged(runtime, spec.id, text);
      t.is(await cat(runtime, spec.id, "/etc/many/kept"), text);
    }
    t.is(await logOf(runtime, spec.id), "one\ntwo\nthree\nfour\n");
    t.is((await execProbe(runtime, spec.id, ["/bin/probe", "ls", "/etc/many"])).stdout, "kept\n");
    const written = await execProbe(runtime, spec.id, ["/bin/probe", "write", conf, "mine"]);
    t.regex(written.stderr, /[Rr]ead-only/);
    const status = await statusOf(runtime, spec.id);
    t.like(status, { state: "running", pid, reload: undefined });
    t.is(status.spec.labels.turn, "2");
    t.true((status.reloadedAtMs ?? 0) >= status.createdAtMs);
    // The kernel of this host may leave the former mounts below the new ones.
    const now = readFileSync(`/proc/${pid}/mountinfo`, "utf8").split("\n").length;
    t.true(now === mounted || now === mounted + 6, `${mounted} mounts, then ${now}`);
  }),
);

kernelTest("whoever opens the file meanwhile finds it, as it was or as it is", (t) =>
  withRuntime(async (bench) => {
    const { runtime } = bench;
    const texts = ["even\n", "odd\n"] as const;
    const [even, odd] = texts.map((text) => mountOf(tree(bench, text), "/conf"));
    if (even === undefined || odd === undefined) throw new Error("two trees are made");
    const spec = probeSpec(runtime, ["reread", "/conf", "600000"], { mounts: [even] });
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    for (let turn = 1; turn <= 40; turn++) {
      const mounts = [turn % 2 === 0 ? even : odd];
      await runtime.reloadContainer(spec.id, { mounts, labels: {}, signal: "SIGCONT" });
    }
    const lines = (await logOf(runtime, spec.id)).split("\n").filter(Boolean);
    t.deepEqual([...new Set(lines)].sort(), ["even", "odd"]);
    t.true(lines.length > 5, `${lines.length} changes were seen`);
  }),
);

kernelTest("secrets are replaced in memory, those with a place of their own too", (t) => {
  const contents = new Map([
    ["a1", "first\n"],
    ["b1", "same\n"],
    ["a2", "second\n"],
  ]);
  const secretContent = async (name: string) => Buffer.from(contents.get(name) ?? "");
  return withRuntime(
    async ({ runtime }) => {
      const secret = (name: string, target: string) =>
        ({ type: "secret", secret: name, target, mode: 0o440, uid: 0, gid: 0 }) as const;
      const [own, plain] = ["/etc/own.key", "/run/secrets/plain"];
      const spec = probeSpec(runtime, ["on-hup", own], {
        mounts: [secret("a1", own), secret("b1", plain)],
      });
      await runtime.createContainer(spec);
      await runtime.startContainer(spec.id);
      const mounts = [secret("a2", own), secret("b1", plain)];
      await runtime.reloadContainer(spec.id, { mounts, labels: {}, signal: "HUP" });
      await untilLogged(runtime, spec.id, "second\n");
      t.is(await cat(runtime, spec.id, plain), "same\n");
      const info = (await execProbe(runtime, spec.id, ["/bin/probe", "mounts"])).stdout;
      const places = info
        .split("\n")
        .filter((line) => / (\/run\/secrets|\/etc\/own.key) /.test(line));
      for (const line of places) t.regex(line, / ro,nosuid,nodev,noexec\S* .*- tmpfs /);
    },
    { secretContent },
  );
});

kernelTest("the next start has the new files, and an agent that died on the way left word", (t) =>
  withRuntime(async (bench) => {
    const { runtime, reopen } = bench;
    const missing = mountOf("0".repeat(64), "/conf");
    const spec = probeSpec(runtime, ["on-hup", "/conf"], {
      mounts: [mountOf(tree(bench, "one\n"), "/conf")],
    });
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    const reload = (mount: Tree) => ({ mounts: [mount], labels: {}, signal: "SIGHUP" });
    await t.throwsAsync(runtime.reloadContainer(spec.id, reload(missing)), {
      message: /^cannot give probe-\S+ its changed files while it runs: .*not on this host/,
    });
    t.is((await statusOf(runtime, spec.id)).reload, "failed");
    const next = await reopen();
    t.like(await statusOf(next, spec.id), { state: "running", reload: "failed" });
    await next.reloadContainer(spec.id, reload(mountOf(tree(bench, "two\n"), "/conf")));
    await untilLogged(next, spec.id, "two\n");
    t.is((await statusOf(next, spec.id)).reload, undefined);
    await next.stopContainer(spec.id, { graceMs: 0, abort: AbortSignal.timeout(10_000) });
    await t.throwsAsync(next.reloadContainer(spec.id, reload(missing)), { message: /not running/ });
    await next.startContainer(spec.id);
    t.is(await cat(next, spec.id, "/conf"), "two\n");
  }),
);

kernelTest("a place that a container has unmounted, or of another kind, is refused", (t) =>
  withRuntime(async (bench) => {
    const { runtime } = bench;
    const spec = probeSpec(runtime, ["on-hup", "/conf"], {
      mounts: [mountOf(tree(bench, "one\n"), "/conf"), mountOf(tree(bench, "two\n"), "/more")],
      security: { capabilitiesAdded: ["SYS_ADMIN"] },
    });
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    const reload = (mount: Tree) =>
      runtime.reloadContainer(spec.id, { mounts: [mount], labels: {}, signal: "SIGHUP" });
    await t.throwsAsync(reload(mountOf(tree(bench, { a: "directory" }), "/conf")), {
      message: /conf/,
    });
    t.is(await cat(runtime, spec.id, "/conf"), "one\n");
    t.is((await execProbe(runtime, spec.id, ["/bin/probe", "unmount", "/more"])).exit.code, 0);
    await t.throwsAsync(reload(mountOf(tree(bench, "three\n"), "/more")), {
      message: /nothing is mounted there any more/,
    });
  }),
);

kernelTest(
  "a privileged container, one in another's namespaces and a paused one are no exception",
  (t) =>
    withRuntime(async (bench) => {
      const { runtime } = bench;
      const one = mountOf(tree(bench, "one\n"), "/conf");
      const two = mountOf(tree(bench, "two\n"), "/conf");
      const host = probeSpec(runtime, ["on-hup", "/conf"], { mounts: [one] });
      const joined = probeSpec(runtime, ["on-hup", "/conf"], {
        mounts: [one],
        namespaces: { pid: { container: host.name }, network: { container: host.name } },
      });
      const privileged = probeSpec(runtime, ["on-hup", "/conf"], {
        mounts: [one],
        security: { privileged: true },
      });
      for (const { id, ...spec } of [host, joined, privileged]) {
        await runtime.createContainer({ id, ...spec });
        await runtime.startContainer(id);
        await untilLogged(runtime, id, "one\n");
        await runtime.reloadContainer(id, { mounts: [two], labels: {}, signal: "SIGHUP" });
        await untilLogged(runtime, id, "two\n");
      }
      await runtime.pauseContainer(host.id);
      await runtime.reloadContainer(host.id, { mounts: [one], labels: {}, signal: "SIGHUP" });
      t.is(await logOf(runtime, host.id), "one\ntwo\n");
      await runtime.unpauseContainer(host.id);
      await eventually(
        async () => ((await logOf(runtime, host.id)) === "one\ntwo\none\n" ? true : undefined),
        "the signal after the pause",
      );
    }),
);
