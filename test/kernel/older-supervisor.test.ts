import { execFile } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { openRuntime } from "../../runtime/open-runtime.ts";
import { PROTOCOL_VERSION } from "../../runtime/protocol.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { kernelTest } from "./kernel-test.ts";
import { execProbe, probeSpec, sessionResult, statusOf, withRuntime } from "./runtime-harness.ts";

const top = fileURLToPath(new URL("../..", import.meta.url));
const newer = PROTOCOL_VERSION + 1;

type Change = { readonly file: string; readonly from: RegExp; readonly to: string };

const versionByte = (version: number): readonly Change[] => [
  {
    file: "native/protocol.h",
    from: new RegExp(`^(#define BERTH_PROTOCOL_VERSION) ${PROTOCOL_VERSION}$`, "m"),
    to: `$1 ${version}`,
  },
  {
    file: "protocol.ts",
    from: new RegExp(`^(export const PROTOCOL_VERSION) = ${PROTOCOL_VERSION};$`, "m"),
    to: `$1: number = ${version};`,
  },
];

const stateWithoutHelperVersion: Change = {
  file: "native/supervisor-requests.c",
  from: /^ *wire_put_string\(&body, BERTH_HELPER_VERSION\);\n/m,
  to: "",
};

const withoutDial: Change = {
  file: "native/program-schema.c",
  from: /^ *\[BERTH_OP_(?:DIAL|REPLACE_MOUNT|END)\] = .*\n/gm,
  to: "",
};

/** What makes today's runtime one of that protocol version; runtime/native/protocol.h says what each brought. */
const changesTo: ReadonlyMap<number, readonly Change[]> = new Map([
  [1, [...versionByte(1), stateWithoutHelperVersion, withoutDial]],
  [2, [...versionByte(2), stateWithoutHelperVersion]],
  [newer, versionByte(newer)],
]);

/** Makes a berth of this version of the protocol, helper and all. */
async function makeRuntimeOf(version: number, place: string): Promise<typeof openRuntime> {
  const sources = join(place, "runtime");
  cpSync(join(top, "runtime"), sources, { recursive: true });
  symlinkSync(join(top, "node_modules"), join(place, "node_modules"));
  writeFileSync(join(place, "package.json"), JSON.stringify({ type: "module" }));
  for (const { file, from, to } of changesTo.get(version) ?? []) {
    const path = join(sources, file);
    const text = readFileSync(path, "utf8");
    const changed = text.replace(from, to);
    if (changed === text)
      throw new Error(`${from} is not in ${file}, where this test looks for it`);
    writeFileSync(path, changed);
  }
  const native = join(sources, "native");
  const files = readdirSync(native).filter((name) => name.endsWith(".c"));
  mkdirSync(join(place, "build"));
  const output = join(place, "build", "berth-helper");
  const flags = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-static", "-o", output];
  await promisify(execFile)("cc", [...flags, ...files, "-lzstd"], { cwd: native });
  const made: { openRuntime: typeof openRuntime } = await import(join(sources, "open-runtime.ts"));
  return made.openRuntime;
}

type Reopen = (berth: "its own" | "this one") => Promise<Runtime>;

/** `work` begins with a runtime of that version. */
async function withRuntimeOf(
  version: number,
  work: (runtime: Runtime, reopen: Reopen) => Promise<void>,
): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), "bt-older-"));
  try {
    const own = await makeRuntimeOf(version, place);
    const options: { openRuntime?: typeof openRuntime } = { openRuntime: own };
    await withRuntime(async ({ runtime, reopen }) => {
      await work(runtime, (berth) => {
        if (berth === "its own") options.openRuntime = own;
        else delete options.openRuntime;
        return reopen();
      });
    }, options);
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

const stop = () => ({ graceMs: 1_000, abort: AbortSignal.timeout(20_000) });

kernelTest(
  "a container whose supervisor is two protocol versions older is adopted, entered, probed with advice, and stopped",
  (t) =>
    withRuntimeOf(1, async (older, reopen) => {
      const spec = probeSpec(older, ["on-term", "7"]);
      await older.createContainer(spec);
      const { pid } = await older.startContainer(spec.id);
      const next = await reopen("this one");
      t.like(await statusOf(next, spec.id), { state: "running", pid });
      t.like((await execProbe(next, spec.id, ["/bin/probe", "exit", "5"])).exit, { code: 5 });
      const dial = () => next.dial(spec.id, { address: "127.0.0.1", port: 8080, relay: false });
      await t.throwsAsync(dial(), { message: /started by an older berth: restart it$/ });
      const reload = next.reloadContainer(spec.id, { mounts: [], labels: {}, signal: "HUP" });
      await t.throwsAsync(reload, { message: /: it was started by an older berth$/ });
      t.is((await next.stopContainer(spec.id, stop())).code, 7);
      await next.startContainer(spec.id);
      // Nobody listens there: its new supervisor has tried.
      t.is((await (await dial()).exit).code, 1);
    }),
);

kernelTest(
  "a container whose supervisor is one protocol version older is adopted again and again, and spoken to in its own",
  (t) =>
    withRuntimeOf(PROTOCOL_VERSION - 1, async (older, reopen) => {
      const spec = probeSpec(older, ["on-term", "7"]);
      await older.createContainer(spec);
      const { pid } = await older.startContainer(spec.id);
      await reopen("this one");
      const next = await reopen("this one");
      t.like(await statusOf(next, spec.id), { state: "running", pid });
      const session = await next.exec(spec.id, {
        argv: ["/bin/probe", "cat", "/dev/stdin"],
        environment: {},
        tty: false,
        stdin: true,
        detach: false,
      });
      session.stdin.end("spoken");
      t.is((await sessionResult(session)).stdout, "spoken");
      const dialled = await next.dial(spec.id, { address: "127.0.0.1", port: 8080, relay: false });
      t.is((await dialled.exit).code, 1);
      t.is((await next.stopContainer(spec.id, stop())).code, 7);
      await next.startContainer(spec.id);
      t.like((await execProbe(next, spec.id, ["/bin/probe", "exit", "5"])).exit, { code: 5 });
    }),
);

kernelTest(
  "a container whose supervisor a newer berth started refuses this one, and goes on",
  (t) =>
    withRuntimeOf(newer, async (ofNewer, reopen) => {
      const spec = probeSpec(ofNewer, ["sleep", "60"]);
      await ofNewer.createContainer(spec);
      const { pid } = await ofNewer.startContainer(spec.id);
      for (let tries = 0; tries < 2; tries += 1) {
        await t.throwsAsync(reopen("this one"), {
          message:
            `cannot take over ${spec.name} because its supervisor was started by a newer berth and speaks protocol version ` +
            `${newer}: 1 to ${PROTOCOL_VERSION} are understood. Nothing was touched: start the berth that runs it, or let ` +
            "that one stop it first",
        });
      }
      const back = await reopen("its own");
      t.like(await statusOf(back, spec.id), { state: "running", pid });
      t.like((await execProbe(back, spec.id, ["/bin/probe", "exit", "5"])).exit, { code: 5 });
    }),
);
