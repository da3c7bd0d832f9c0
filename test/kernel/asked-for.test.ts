import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { detectCgroups } from "../../runtime/cgroups/cgroup-host.ts";
import { serialKernelTest } from "./kernel-test.ts";
import { execProbe, probeSpec, statusOf, withRuntime } from "./runtime-harness.ts";

const mount = (...argv: readonly string[]) => execFileSync("mount", argv);
const sleeper = ["sleep", "60000"];

serialKernelTest(
  "what is mounted below a bind source later appears where that was asked for",
  (t) =>
    withRuntime(async ({ runtime, root }) => {
      const source = join(root, "source");
      mkdirSync(source);
      mount("-t", "tmpfs", "bt-propagation", source);
      try {
        mount("--make-shared", source);
        mkdirSync(join(source, "late"));
        const bind = { type: "bind", source, readOnly: false, createHostPath: false } as const;
        const spec = probeSpec(runtime, sleeper, {
          mounts: [
            { ...bind, target: "/private" },
            { ...bind, target: "/slave", propagation: "rslave" },
          ],
        });
        await runtime.createContainer(spec);
        await runtime.startContainer(spec.id);
        mount("-t", "tmpfs", "bt-late", join(source, "late"));
        writeFileSync(join(source, "late", "file"), "seen");
        const cat = (path: string) => execProbe(runtime, spec.id, ["/bin/probe", "cat", path]);
        t.is((await cat("/slave/late/file")).stdout, "seen");
        t.not((await cat("/private/late/file")).exit.code, 0);
      } finally {
        execFileSync("umount", ["--recursive", "--lazy", source]);
      }
    }),
);

serialKernelTest("huge pages are limited, or refused where the host cannot count them", (t) =>
  withRuntime(async ({ runtime }) => {
    const cgroups = detectCgroups();
    const resources = { hugePageBytesMax: { "2MB": 4_194_304 } };
    const spec = probeSpec(runtime, sleeper, { resources });
    if (!cgroups.v1.has("hugetlb") && !cgroups.unifiedControllers.has("hugetlb")) {
      await t.throwsAsync(runtime.createContainer(spec), { message: /no hugetlb controller/ });
      return;
    }
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    const { cgroupPath } = await statusOf(runtime, spec.id);
    const v1 = cgroups.v1.get("hugetlb");
    const file =
      v1 === undefined
        ? join(cgroups.unified ?? "", cgroupPath, "hugetlb.2MB.max")
        : join(v1, cgroupPath, "hugetlb.2MB.limit_in_bytes");
    t.is(readFileSync(file, "utf8").trim(), "4194304");
  }),
);

serialKernelTest(
  "host name and domain are the container's own, and its annotations are kept",
  (t) =>
    withRuntime(async ({ runtime }) => {
      const spec = probeSpec(runtime, sleeper, {
        hostname: "inner",
        domainname: "example.test",
        annotations: { "org.example.note": "kept" },
      });
      await runtime.createContainer(spec);
      await runtime.startContainer(spec.id);
      const read = async (name: string) =>
        (await execProbe(runtime, spec.id, ["/bin/probe", "cat", `/proc/sys/kernel/${name}`]))
          .stdout;
      t.is((await read("hostname")).trim(), "inner");
      t.is((await read("domainname")).trim(), "example.test");
      const { annotations } = (await statusOf(runtime, spec.id)).spec;
      t.deepEqual(annotations, { "org.example.note": "kept" });
    }),
);
