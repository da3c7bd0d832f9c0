import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { hasApparmor } from "../../runtime/plan/plan-label.ts";
import { kernelTest } from "./kernel-test.ts";
import { execProbe, probeSpec, runToEnd, withRuntime } from "./runtime-harness.ts";

const interfaceDir = "/sys/kernel/security/apparmor";
const sleeper = ["sleep", "60000"];

kernelTest(
  "a host without AppArmor refuses a profile, a host with it one that is not loaded",
  (t) =>
    withRuntime(async ({ runtime }) => {
      const security = { apparmor: `bt-missing-${process.pid}` };
      const spec = probeSpec(runtime, sleeper, { security });
      const why = hasApparmor() ? /it is not loaded: load it/ : /this host has no AppArmor/;
      await t.throwsAsync(runtime.createContainer(spec), { message: why });
      t.deepEqual((await runtime.observe()).containers, []);
    }),
);

kernelTest(
  "a loaded AppArmor profile confines every process of a container, where there is one",
  (t) =>
    withRuntime(async ({ runtime }) => {
      if (!hasApparmor()) {
        t.pass("this host has no AppArmor: the lab's guest has");
        return;
      }
      const name = `bt-${randomBytes(4).toString("hex")}`;
      await withProfile({ name, mode: complain }, async () => {
        for (const init of [false, true]) {
          const spec = probeSpec(runtime, sleeper, { security: { apparmor: name }, init });
          await runtime.createContainer(spec);
          await runtime.startContainer(spec.id);
          const processes = await runtime.processes(spec.id);
          const labels = processes.map((pid) => readFileSync(`/proc/${pid}/attr/current`, "utf8"));
          t.true(
            labels.some((label) => label.trim() === `${name} (complain)`),
            labels.join(),
          );
          const own = await execProbe(runtime, spec.id, [
            "/bin/probe",
            "cat",
            "/proc/self/attr/current",
          ]);
          t.is(own.stdout.trim(), `${name} (complain)`, own.stderr);
        }
      });
      await withProfile({ name, mode: enforce }, async () => {
        const reader = ["cat", "/etc/passwd"];
        const free = await runToEnd(runtime, probeSpec(runtime, reader));
        t.is(free.exit?.code, 0, free.stderr);
        const security = { apparmor: name };
        const confined = await runToEnd(runtime, probeSpec(runtime, reader, { security }));
        t.not(confined.exit?.code, 0);
        t.is(confined.stdout, "");
      });
    }),
);

const enforce = 0;
const complain = 1;

/** A profile that allows nothing, loaded for the time of the work; in complain mode what it forbids is done all the same. */
async function withProfile(
  profile: { readonly name: string; readonly mode: number },
  work: () => Promise<void>,
): Promise<void> {
  writeFileSync(`${interfaceDir}/.load`, compileProfile(profile));
  try {
    await work();
  } finally {
    writeFileSync(`${interfaceDir}/.remove`, profile.name);
  }
}

/** The kernel's binary form (security/apparmor/policy_unpack.c, version 5), as small as it can be. */
function compileProfile({ name, mode }: { readonly name: string; readonly mode: number }): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.from(`${value}\0`);
    const size = Buffer.alloc(2);
    size.writeUInt16LE(bytes.length);
    return Buffer.concat([size, bytes]);
  };
  const code = { u32: 2, name: 4, string: 5, struct: 7, structEnd: 8 };
  const named = (value: string) => Buffer.concat([Buffer.of(code.name), text(value)]);
  const u32 = (value: number) => {
    const bytes = Buffer.alloc(5);
    bytes.writeUInt8(code.u32);
    bytes.writeUInt32LE(value, 1);
    return bytes;
  };
  return Buffer.concat([
    ...[named("version"), u32(5)],
    ...[named("profile"), Buffer.of(code.struct), Buffer.of(code.string), text(name)],
    ...[named("flags"), Buffer.of(code.struct), u32(0), u32(mode), u32(0)],
    Buffer.of(code.structEnd),
    // Capabilities: allowed, audited, quiet, and what is of no use any more.
    ...[u32(0), u32(0), u32(0), u32(0)],
    Buffer.of(code.structEnd),
  ]);
}
