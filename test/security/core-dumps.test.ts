import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContainerSpec } from "../../runtime/container-spec.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { probeSpec, runToEnd, withRuntime } from "../kernel/runtime-harness.ts";

const segmentationFault = 11;

kernelTest(
  "a program that crashes leaves no image of its memory, unless the manifest asks for it",
  (t) => {
    const place = mkdtempSync(join(tmpdir(), "bt-core-"));
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
    }).finally(() => rmSync(place, { recursive: true }));
  },
);
