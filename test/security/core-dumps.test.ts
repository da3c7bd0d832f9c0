import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContainerSpec } from "../../runtime/container-spec.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { probeSpec, runToEnd, withRuntime } from "../kernel/runtime-harness.ts";

const segmentationFault = 11;

/** The soft limit, as prlimit(1) takes it. Returns what it was. A hard limit of 0 leaves nothing to allow. */
function setOwnCoreLimit(soft: string): string {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const [, was = "0", hard = "0"] = /^Max core file size +(\S+) +(\S+)/m.exec(limits) ?? [];
  if (hard !== "0") {
    const value = soft === "unlimited" ? hard : soft;
    execFileSync("prlimit", ["--pid", `${process.pid}`, `--core=${value}:${hard}`]);
  }
  return was;
}

kernelTest(
  "a program that crashes leaves no image of its memory, unless the manifest asks for it",
  (t) => {
    const place = mkdtempSync(join(tmpdir(), "bt-core-"));
    // Whoever starts the agent may allow core dumps: what the containers get is not that.
    const before = setOwnCoreLimit("unlimited");
    return withRuntime(async ({ runtime }) => {
      const crash = async (more: Partial<ContainerSpec>) => {
        const spec = probeSpec(runtime, ["raise", `${segmentationFault}`], {
          workingDir: "/data",
          mounts: [
            {
              type: "bind",
              source: place,
              target: "/data",
              readOnly: false,
              createHostPath: false,
            },
          ],
          ...more,
        });
        t.like((await runToEnd(runtime, spec)).exit, { signal: segmentationFault });
        return readdirSync(place).length;
      };
      t.is(await crash({}), 0);
      // A pattern that begins with a pipe or a path puts it elsewhere.
      const pattern = readFileSync("/proc/sys/kernel/core_pattern", "utf8");
      if (/^[|/]/.test(pattern)) return;
      t.is(await crash({ ulimits: { core: { soft: 1_048_576, hard: 1_048_576 } } }), 1);
    }).finally(() => {
      setOwnCoreLimit(before);
      rmSync(place, { recursive: true });
    });
  },
);
