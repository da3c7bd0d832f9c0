import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerSpec } from "../../runtime/container-spec.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { execProbe, runToEnd, statusOf } from "../kernel/runtime-harness.ts";
import { withHostileImage } from "./hostile-image.ts";
import { readSurface, section } from "./surface.ts";

const plain = { layer: [] };

kernelTest(
  "CVE-2019-5736, CVE-2016-9962, CVE-2024-21626: who watches an exec reaches no program, descriptor or root of the host",
  (t) =>
    withHostileImage(plain, async ({ runtime, spec }) => {
      const watcher = spec(["watch", "3000"], { entrypoint: ["/bin/probe-attack"] });
      await runtime.createContainer(watcher);
      await runtime.startContainer(watcher.id);
      for (let i = 0; i < 15; i += 1) {
        await execProbe(runtime, watcher.id, ["/bin/probe", "exit", "0"]);
        // The published attack: the runtime is made to execute itself, and is then a process like any other.
        await execProbe(runtime, watcher.id, ["/proc/self/exe", "version"]);
      }
      const abort = AbortSignal.timeout(20_000);
      let text = "";
      for await (const line of runtime.logs(watcher.id, { follow: true, abort })) text += line.text;
      const seen = readSurface(text);
      t.is(seen.get("ready"), "1");
      t.is(seen.get("program-written"), "0", text);
      t.is(seen.get("host-descriptors"), "0", text);
      t.is(seen.get("host-roots"), "0", text);
      // F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE of the helper, where the watcher was quick enough.
      if (seen.get("helper-seen") !== "0") t.is(Number(seen.get("program-seals")) & 15, 15, text);
    }),
);

kernelTest("CVE-2019-5736: the running helper is a sealed copy in memory", (t) =>
  withHostileImage(plain, async ({ runtime, spec }) => {
    // Executed as the payload, it can look at itself: /proc/self/exe is then the helper.
    const own = spec(["60000"], { entrypoint: ["/bin/probe-attack", "watch"], stdinOpen: true });
    await runtime.createContainer(own);
    const { pid } = await runtime.startContainer(own.id);
    const supervisor = Number(
      /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1],
    );
    const maps = readFileSync(`/proc/${supervisor}/maps`, "utf8");
    t.regex(maps, /memfd:berth-helper/);
    t.throws(() => writeFileSync(`/proc/${supervisor}/exe`, "x", { flag: "r+" }));
  }),
);

kernelTest("CVE-2024-21626: a working directory through a descriptor stays inside the root", (t) =>
  withHostileImage(plain, async ({ runtime, spec }) => {
    const root = await runToEnd(runtime, spec(["ls", "/"]));
    let refused = 0;
    for (let fd = 3; fd < 24; fd += 1) {
      const workingDir = `/proc/self/fd/${fd}`;
      const container = spec(["ls", "../../../../../.."], { workingDir });
      const outcome = await runToEnd(runtime, container).catch(() => undefined);
      if (outcome === undefined) refused += 1;
      // The directory that holds the links may be reached: it is the container's own.
      else t.is(outcome.stdout, root.stdout, workingDir);
    }
    t.true(refused > 0);
  }),
);

kernelTest("CVE-2022-0492: release_agent and all it needs are out of reach", (t) =>
  withHostileImage(plain, async ({ runtime, spec }) => {
    const reached = async (more: Partial<ContainerSpec>) => {
      const attack = spec(["release-agent"], { entrypoint: ["/bin/probe-attack"], ...more });
      const { exit, stdout } = await runToEnd(runtime, attack);
      t.is(exit?.code, 0);
      const surface = readSurface(stdout);
      t.true(surface.size > 10, stdout);
      return [...section(surface, "")].filter(([, value]) => value === "ok").map(([name]) => name);
    };
    t.deepEqual(await reached({}), []);
    // Without the filter the user namespace still stands in the way; the attack works where neither does.
    t.deepEqual(await reached({ security: { seccomp: "unconfined" } }), []);
    const rights = { capabilitiesAdded: ["ALL"] } as const;
    const namespaces = { user: "host", cgroup: "host" } as const;
    const seccomp = "unconfined";
    t.not((await reached({ namespaces, security: { ...rights, seccomp } })).length, 0);
  }),
);

kernelTest(
  "CVE-2025-52881, CVE-2019-16884: a volume over /proc/sys does not get the runtime's sysctls",
  (t) =>
    withHostileImage(plain, async ({ runtime, root, spec }) => {
      const fake = join(root, "fake-sysctls");
      mkdirSync(fake);
      for (const name of ["ping_group_range", "ip_unprivileged_port_start"]) {
        writeFileSync(join(fake, name), "untouched", { mode: 0o666 });
      }
      const target = "/proc/sys/net/ipv4";
      const mount = { type: "bind", source: fake, target, readOnly: false } as const;
      const container = spec(["ls", "/"], { mounts: [{ ...mount, createHostPath: false }] });
      await runtime.createContainer(container);
      await runtime.startContainer(container.id).catch(() => {});
      for (const name of readdirSync(fake)) {
        t.is(readFileSync(join(fake, name), "utf8"), "untouched", name);
      }
    }),
);

kernelTest("CVE-2026-53488: labels of an image are data, whatever they say", (t) => {
  const marker = `/tmp/bt-label-${process.pid}`;
  const Labels = {
    "io.kubernetes.cri.container-log-path": marker,
    "org.systemd.property.ExecStart": `/bin/touch ${marker}`,
    "io.podman.annotations.userns": "host",
    privileged: "true",
    "run.oci.hooks.stderr": marker,
    "run.oci.keep_original_groups": "1",
  };
  return withHostileImage({ layer: [], config: { Labels } }, async ({ runtime, spec }) => {
    const container = spec(["cat", "/proc/self/uid_map"]);
    const { stdout } = await runToEnd(runtime, container);
    t.notRegex(stdout, /^\s*0\s+0\s/);
    // What a specification asks for is granted, and seen here.
    const asked = spec(["cat", "/proc/self/uid_map"], { namespaces: { user: "host" } });
    t.regex((await runToEnd(runtime, asked)).stdout, /^\s*0\s+0\s/);
    t.deepEqual((await statusOf(runtime, container.id)).spec.labels, {});
    t.false(existsSync(marker));
  });
});

kernelTest("CVE-2020-15257: a supervisor listens on a private path, and at no abstract name", (t) =>
  withHostileImage(plain, async ({ runtime, root, spec }) => {
    const container = spec(["sleep", "60"]);
    await runtime.createContainer(container);
    await runtime.startContainer(container.id);
    const sockets = readFileSync("/proc/net/unix", "utf8")
      .split("\n")
      .filter((line) => line.includes(container.id.slice(0, 12)) || line.includes(root));
    t.true(sockets.length > 0);
    for (const line of sockets) {
      const path = line.slice(line.search(/[/@]/));
      t.true(path.startsWith("/"), path);
      t.is(statSync(path).mode & 0o777, 0o600);
    }
    t.deepEqual(
      readFileSync("/proc/net/unix", "utf8")
        .split("\n")
        .filter((line) => /\s@.*berth/.test(line)),
      [],
    );
  }),
);
