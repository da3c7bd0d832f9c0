import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LAYER_ID_BASE } from "../../runtime/images/layer-ids.ts";
import type { ProcessSession } from "../../runtime/runtime.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { probeSpec, withRuntime } from "../kernel/runtime-harness.ts";

const asks = {
  argv: ["/bin/probe", "ids"],
  environment: {},
  tty: false,
  stdin: false,
  detach: false,
} as const;

/** Who the process was: its ids, groups and rights. */
async function identityOf(session: ProcessSession): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of session.stdout) chunks.push(Buffer.from(chunk));
  const text = Buffer.concat(chunks).toString("utf8");
  return text.replaceAll(/^(?:pid|session): \d+$/gm, "");
}

kernelTest("an exec runs as the user of the start, whatever the container's files say since", (t) =>
  withRuntime(async ({ runtime, root, reopen }) => {
    const spec = probeSpec(runtime, ["sleep", "60000"], { user: "web", groups: ["web"] });
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    const before = await identityOf(await runtime.exec(spec.id, asks));
    t.regex(before, /1000/);
    const etc = join(root, "lib/containers", spec.id, "rootfs/upper/etc");
    mkdirSync(etc, { recursive: true });
    writeFileSync(join(etc, "passwd"), "web:x:0:0::/:\n");
    writeFileSync(join(etc, "group"), `web:x:${LAYER_ID_BASE}:\n`);
    t.is(await identityOf(await runtime.exec(spec.id, asks)), before);
    const again = await reopen();
    t.is(await identityOf(await again.exec(spec.id, asks)), before);
    // A named one is who the container says it is now, with the groups of the start.
    const named = await again.exec(spec.id, { ...asks, user: "web" });
    t.not(await identityOf(named), before);
  }),
);

kernelTest("a running container's etc that leads to the host names nobody of the host", (t) =>
  withRuntime(async ({ runtime, root }) => {
    const spec = probeSpec(runtime, ["sleep", "60000"]);
    await runtime.createContainer(spec);
    await runtime.startContainer(spec.id);
    const upper = join(root, "lib/containers", spec.id, "rootfs/upper");
    const secret = join(root, "secret");
    mkdirSync(secret);
    writeFileSync(join(secret, "passwd"), "hostname-only:x:7:7::/:\n");
    const asked = () => runtime.exec(spec.id, { ...asks, user: "hostname-only" });
    mkdirSync(join(upper, "etc"), { recursive: true });
    symlinkSync(join(secret, "passwd"), join(upper, "etc/passwd"));
    await t.throwsAsync(asked(), { message: /no such name/ });
    renameSync(join(upper, "etc"), join(upper, "moved"));
    symlinkSync(secret, join(upper, "etc"));
    await t.throwsAsync(asked(), { message: /no such name/ });
  }),
);
