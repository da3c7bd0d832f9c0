import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { TestBundle } from "./bundle.ts";

serialKernelTest(
  "a created container waits, runs once it is started, and leaves nothing when deleted",
  async (t) => {
    const bundle = new TestBundle(t);
    bundle.configure(["sleep", "100"]);
    await bundle.create("--pid-file", `${bundle.dir}/pid`);
    t.is(await bundle.status(), "created");
    const pid = readFileSync(`${bundle.dir}/pid`, "utf8");
    t.not(readFileSync(`/proc/${pid}/comm`, "utf8").trim(), "probe");
    t.is((await bundle.berth("start", bundle.id)).code, 0);
    t.is(await bundle.status(), "running");
    t.is(readFileSync(`/proc/${pid}/comm`, "utf8").trim(), "probe");
    t.true(bundle.cgroups().length > 0);
    t.is((await bundle.berth("kill", bundle.id, "KILL")).code, 0);
    while ((await bundle.status()) !== "stopped") await sleep(10);
    t.is((await bundle.berth("delete", bundle.id)).code, 0);
    t.deepEqual(bundle.cgroups(), []);
    t.false(existsSync(`${bundle.root}/${bundle.id}`));
  },
);

serialKernelTest(
  "run passes output and exit code through, and forgets the container",
  async (t) => {
    const bundle = new TestBundle(t);
    bundle.configure(["args", "one", "two"]);
    const ended = await bundle.berth("run", bundle.id);
    t.is(ended.code, 0);
    t.true(ended.stdout.includes("two"));
    bundle.configure(["exit", "7"]);
    t.is((await bundle.berth("run", bundle.id)).code, 7);
    t.is((await bundle.berth("state", bundle.id)).code, 1);
  },
);

serialKernelTest("exec runs in the container's namespaces and returns its exit code", async (t) => {
  const bundle = new TestBundle(t);
  bundle.configure(["sleep", "100"]);
  await bundle.create();
  await bundle.berth("start", bundle.id);
  t.is((await bundle.berth("exec", bundle.id, "/bin/probe", "exit", "5")).code, 5);
  const listed = await bundle.berth("exec", bundle.id, "/bin/probe", "ls", "/");
  t.deepEqual(listed.stdout.trim().split(/\s+/).toSorted(), ["bin", "dev", "proc", "sys", "tmp"]);
  const missing = await bundle.berth("exec", bundle.id, "/bin/none");
  t.true(missing.stderr.includes("no such file or directory"));
});

serialKernelTest("a paused container says so, and takes no exec until it is resumed", async (t) => {
  const bundle = new TestBundle(t);
  bundle.configure(["sleep", "100"]);
  await bundle.create();
  await bundle.berth("start", bundle.id);
  t.is((await bundle.berth("pause", bundle.id)).code, 0);
  t.is(await bundle.status(), "paused");
  t.is((await bundle.berth("exec", bundle.id, "/bin/probe", "exit", "0")).code, 255);
  t.is((await bundle.berth("resume", bundle.id)).code, 0);
  t.is(await bundle.status(), "running");
});

serialKernelTest(
  "delete --force ends a paused container and tolerates a missing one",
  async (t) => {
    const bundle = new TestBundle(t);
    bundle.configure(["sleep", "100"]);
    await bundle.create();
    await bundle.berth("start", bundle.id);
    await bundle.berth("pause", bundle.id);
    t.is((await bundle.berth("delete", bundle.id)).code, 1);
    t.is((await bundle.berth("delete", "--force", bundle.id)).code, 0);
    t.deepEqual(bundle.cgroups(), []);
    t.is((await bundle.berth("delete", "--force", bundle.id)).code, 0);
    const again = await bundle.berth("delete", bundle.id);
    t.is(again.code, 1);
    t.true(again.stderr.includes("does not exist"));
  },
);

serialKernelTest(
  "hooks run in their order and read the container's state with its pid",
  async (t) => {
    const bundle = new TestBundle(t);
    const log = `${bundle.dir}/hooks`;
    const hook = (name: string) => [
      { path: "/bin/sh", args: ["sh", "-c", `echo ${name} $(cat) >> ${log}`] },
    ];
    bundle.configure(["sleep", "100"], {
      hooks: Object.fromEntries(
        ["prestart", "createRuntime", "createContainer", "poststart", "poststop"].map((name) => [
          name,
          hook(name),
        ]),
      ),
    });
    await bundle.create("--pid-file", `${bundle.dir}/pid`);
    await bundle.berth("start", bundle.id);
    await bundle.berth("delete", "--force", bundle.id);
    const lines = readFileSync(log, "utf8").trim().split("\n");
    const seen = lines.map((line) => {
      const [name = "", ...json] = line.split(" ");
      // The hooks' own output; a missing field fails the comparison.
      const state = JSON.parse(json.join(" ")) as { status: string; pid: number };
      return [name, state.status, state.pid];
    });
    const pid = Number(readFileSync(`${bundle.dir}/pid`, "utf8"));
    t.deepEqual(seen, [
      ["prestart", "creating", pid],
      ["createRuntime", "creating", pid],
      ["createContainer", "creating", pid],
      ["poststart", "running", pid],
      ["poststop", "stopped", 0],
    ]);
  },
);

serialKernelTest(
  "a poststart hook that fails stops the container, and the start fails",
  async (t) => {
    const fails = { poststart: [{ path: "/bin/sh", args: ["sh", "-c", "exit 3"] }] };
    const bundle = new TestBundle(t);
    bundle.configure(["sleep", "100"], { hooks: fails });
    await bundle.create();
    const started = await bundle.berth("start", bundle.id);
    t.is(started.code, 1);
    t.regex(started.stderr, /hook \/bin\/sh: exit status 3/);
    t.is(await bundle.status(), "stopped");
    t.is((await bundle.berth("delete", bundle.id)).code, 0);
    const before = readdirSync("/run").filter((name) => name.startsWith("berth-oci-"));
    const ran = await bundle.berth("run", bundle.id);
    t.is(ran.code, 1);
    t.regex(ran.stderr, /exit status 3/);
    t.deepEqual(bundle.cgroups(), []);
    t.deepEqual(
      readdirSync("/run").filter((name) => name.startsWith("berth-oci-")),
      before,
    );
  },
);

serialKernelTest("a poststop hook that fails is a warning, and the next one runs", async (t) => {
  const bundle = new TestBundle(t);
  const hook = (script: string) => ({ path: "/bin/sh", args: ["sh", "-c", script] });
  bundle.configure(["exit", "0"], {
    hooks: { poststop: [hook("exit 3"), hook(`echo done >${bundle.dir}/second`)] },
  });
  const ran = await bundle.berth("run", bundle.id);
  t.is(ran.code, 0);
  t.regex(ran.stderr, /warning: .*exit status 3/);
  t.is(readFileSync(`${bundle.dir}/second`, "utf8").trim(), "done");
});

serialKernelTest("what hooks mount below the bundle's root is in the container", async (t) => {
  const bundle = new TestBundle(t);
  const { dir, rootfs } = bundle;
  writeFileSync(`${dir}/by-runtime`, "createRuntime");
  writeFileSync(`${dir}/by-container`, "createContainer");
  mkdirSync(`${dir}/empty`);
  for (const file of ["runtime", "container"]) writeFileSync(`${rootfs}/tmp/${file}`, "");
  const enter = `nsenter -m -t $(sed 's/.*"pid":\\([0-9]*\\).*/\\1/')`;
  const hook = (script: string) => [{ path: "/bin/sh", args: ["sh", "-ec", script] }];
  const changes = {
    mounts: [{ destination: "/volume", source: `${dir}/empty`, options: ["bind"] }],
    hooks: {
      // The mounts of the configuration are there already.
      createRuntime: hook(
        `touch ${dir}/empty/runtime; ${enter} mount --bind ${dir}/by-runtime ${rootfs}/volume/runtime`,
      ),
      createContainer: hook(`mount --bind ${dir}/by-container ./tmp/container`),
    },
  };
  for (const [path, content] of [
    ["/volume/runtime", "createRuntime"],
    ["/tmp/container", "createContainer"],
  ] as const) {
    bundle.configure(["cat", path], changes);
    const ended = await bundle.berth("run", bundle.id);
    t.is(ended.stdout, content, ended.stderr);
  }
  t.is(readFileSync(`${dir}/empty/runtime`, "utf8"), "");
});

serialKernelTest(
  "a hook in the container has the process's environment, not the caller's",
  async (t) => {
    const bundle = new TestBundle(t);
    const startContainer = [{ path: "/bin/probe", args: ["probe", "env"] }];
    bundle.configure(["exit", "0"], {
      process: { env: ["PATH=/bin", "OWN=yes"] },
      hooks: { startContainer },
    });
    const ended = await bundle.berth("run", bundle.id);
    t.is(ended.code, 0, ended.stderr);
    t.deepEqual(`${ended.stdout}${ended.stderr}`.trim().split("\n").toSorted(), [
      "OWN=yes",
      "PATH=/bin",
    ]);
  },
);

serialKernelTest("a hook that fails takes the half-made container with it", async (t) => {
  const bundle = new TestBundle(t);
  bundle.configure(["exit", "0"], {
    hooks: { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "exit 3"] }] },
  });
  const ended = await bundle.berth("create", "--bundle", bundle.dir, bundle.id);
  t.is(ended.code, 1);
  t.true(ended.stderr.includes("exit status 3"));
  t.deepEqual(bundle.cgroups(), []);
  t.false(existsSync(`${bundle.root}/${bundle.id}`));
});

serialKernelTest(
  "descriptors that the caller preserves reach the process, and no other",
  async (t) => {
    const bundle = new TestBundle(t);
    bundle.configure(["fds"]);
    const numbers = ({ stdout }: { readonly stdout: string }) =>
      [...stdout.matchAll(/^(\d+)/gm)].map(([, number]) => Number(number)).filter((fd) => fd > 2);
    const without = numbers(await bundle.berth("run", bundle.id));
    const kept = numbers(await bundle.runWithFd3("run", "--preserve-fds", "1", bundle.id));
    t.false(without.includes(3) && kept.length === without.length);
    t.true(kept.includes(3));
  },
);

serialKernelTest(
  "limits are written before the process runs, and update changes them",
  async (t) => {
    const bundle = new TestBundle(t);
    bundle.configure(["sleep", "100"], {
      linux: {
        resources: { pids: { limit: 30 } },
        namespaces: ["pid", "ipc", "uts", "mount"].map((type) => ({ type })),
      },
    });
    await bundle.create();
    await bundle.berth("start", bundle.id);
    const file =
      bundle
        .cgroups()
        .map((dir) => `${dir}/pids.max`)
        .find(existsSync) ?? "";
    t.is(readFileSync(file, "utf8").trim(), "30");
    t.is((await bundle.berth("update", "--pids-limit", "40", bundle.id)).code, 0);
    t.is(readFileSync(file, "utf8").trim(), "40");
  },
);
