import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kernelTest } from "../kernel/kernel-test.ts";
import { probeSpec, withRuntime } from "../kernel/runtime-harness.ts";

const bind = (source: string) => ({
  mounts: [
    { type: "bind", source, target: "/data", readOnly: false, createHostPath: true },
  ] as const,
});

kernelTest(
  "a bind source that is missing is made by its whole path, for root alone to write",
  (t) => {
    const place = mkdtempSync(join(tmpdir(), "bt-bind-"));
    return withRuntime(async ({ runtime }) => {
      const spec = probeSpec(runtime, ["sleep", "60"], bind(join(place, "a", "b")));
      await runtime.createContainer(spec);
      await runtime.startContainer(spec.id);
      for (const path of [join(place, "a"), join(place, "a", "b")]) {
        const { uid, mode } = statSync(path);
        t.deepEqual([uid, mode & 0o7777], [0, 0o755], path);
      }
    }).finally(() => rmSync(place, { recursive: true }));
  },
);

kernelTest(
  "a link that takes a directory's place after the policy has looked is not followed, and nothing is made behind it",
  (t) => {
    const allowed = mkdtempSync(join(tmpdir(), "bt-bind-"));
    const outside = mkdtempSync(join(tmpdir(), "bt-outside-"));
    const shared = join(allowed, "shared");
    mkdirSync(shared);
    // What a container with this directory mounted could do at that moment.
    const admitBind = () => {
      rmSync(shared, { recursive: true });
      symlinkSync(outside, shared);
      return true;
    };
    return withRuntime(
      async ({ runtime }) => {
        const spec = probeSpec(runtime, ["sleep", "60"], bind(join(shared, "made", "here")));
        await runtime.createContainer(spec);
        await t.throwsAsync(runtime.startContainer(spec.id), { message: /ENOTDIR/ });
        t.true(existsSync(outside));
        t.deepEqual(readdirSync(outside), []);
      },
      { admitBind },
    ).finally(() => {
      for (const path of [allowed, outside]) rmSync(path, { recursive: true });
    });
  },
);
