import type { ExecutionContext } from "ava";
import type { ContainerSpec } from "../../runtime/container-spec.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import {
  eventually,
  execProbe,
  probeSpec,
  runToEnd,
  withRuntime,
} from "../kernel/runtime-harness.ts";
import { TestBundle } from "../oci/bundle.ts";

/** Without the default filter, which refuses all of it: what is left are the keyrings and ids themselves. */
const security = { seccomp: JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW" }) };
const keys: Partial<ContainerSpec> = { entrypoint: ["/bin/probe-keys"], security };

function answers(t: ExecutionContext, stdout: string): Readonly<Record<string, string>> {
  const lines = stdout.trim().split("\n");
  const found = Object.fromEntries(lines.map((line) => line.split(" ")));
  t.is(found.own, "ok", "a keyring of its own works");
  return found;
}

kernelTest(
  "a container has a session keyring of its own, whatever its caller's holds",
  async (t) => {
    const bundle = new TestBundle(t);
    const name = `bt-${process.pid}`;
    bundle.configure([], { process: { args: ["/bin/probe-keys", "look", name] } });
    const { stdout, stderr } = await bundle.runWithKey(name, "run", bundle.id);
    t.like(answers(t, stdout), { search: "ENOKEY", request: "ENOKEY" }, stderr);
    bundle.configure(["sleep", "100"]);
    await bundle.create();
    t.is((await bundle.berth("start", bundle.id)).code, 0);
    const words = ["exec", bundle.id, "/bin/probe-keys", "look", name];
    const executed = await bundle.runWithKey(name, ...words);
    t.like(answers(t, executed.stdout), { search: "ENOKEY", request: "ENOKEY" }, executed.stderr);
  },
);

kernelTest("a container reads, links and revokes no key of another one, even by its number", (t) =>
  withRuntime(async ({ runtime }) => {
    const holder = probeSpec(runtime, ["hold", "bt-held"], keys);
    await runtime.createContainer(holder);
    await runtime.startContainer(holder.id);
    const abort = AbortSignal.timeout(30_000);
    const serial = await eventually(async () => {
      for await (const { text } of runtime.logs(holder.id, { follow: false, abort })) {
        const found = /^key (\d+)/.exec(`${text}`)?.[1];
        if (found !== undefined) return found;
      }
      return undefined;
    }, "the key's number");
    const other = await runToEnd(runtime, probeSpec(runtime, ["look", "bt-held", serial], keys));
    t.like(answers(t, other.stdout), {
      search: "ENOKEY",
      request: "ENOKEY",
      read: "EACCES",
      link: "EACCES",
      revoke: "EACCES",
    });
    // The default filter refuses the calls themselves.
    const { security: _own, ...filtered } = keys;
    const refused = await runToEnd(runtime, probeSpec(runtime, ["look", "bt-held"], filtered));
    t.regex(
      refused.stdout,
      /^search (?:EPERM|ENOSYS)\nrequest (?:EPERM|ENOSYS)\nown (?:EPERM|ENOSYS)$/m,
    );
    // What is executed later in one container is of its own session, too.
    const argv = ["/bin/probe-keys", "look", "bt-held", serial];
    const executed = await execProbe(runtime, holder.id, argv);
    t.like(answers(t, executed.stdout), { search: "ENOKEY" });
  }),
);
