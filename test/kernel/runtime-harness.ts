import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { openDatabase } from "../../agent/store/open-database.ts";
import type { ContainerSpec } from "../../runtime/container-spec.ts";
import { openRuntime } from "../../runtime/open-runtime.ts";
import type { LogLine, ProcessSession, Runtime } from "../../runtime/runtime.ts";
import type { RuntimeOptions } from "../../runtime/runtime-options.ts";
import { programImage, writeOciLayout } from "../builders/oci-layout.ts";

export const payloadPath = (name: string): string =>
  fileURLToPath(new URL(`../../build/payload/${name}`, import.meta.url));

export type Bench = {
  readonly runtime: Runtime;
  readonly root: string;
  readonly instance: string;
  /** Opens a second runtime over the same state, as a restarted agent does. */
  reopen(): Promise<Runtime>;
};

const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** An instance of its own with the images `probe` and `web`; everything of it is gone afterwards, also on failure. */
export async function withRuntime(
  work: (bench: Bench) => Promise<void>,
  options: Pick<RuntimeOptions, "admitBind" | "helperPath" | "secretContent"> & {
    /** That of another berth, to be read anew at each opening. */
    readonly openRuntime?: typeof openRuntime;
  } = {},
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "bt-"));
  const instance = `bt${randomBytes(3).toString("hex")}`;
  const databases: DatabaseSync[] = [];
  const open = async () => {
    const state = openDatabase({
      path: join(root, "state.db"),
      synchronous: "FULL",
      migrations: [],
    });
    const live = openDatabase({ path: join(root, "live.db"), synchronous: "OFF", migrations: [] });
    databases.push(state, live);
    return (options.openRuntime ?? openRuntime)({
      libDir: join(root, "lib"),
      runDir: join(root, "run"),
      instance,
      state,
      live,
      log: silent,
      addressPool: "10.231.0.0/16",
      now: () => Date.now(),
      ...options,
    });
  };
  let runtime = await open();
  try {
    await loadPayloads(runtime, root);
    await work({
      get runtime() {
        return runtime;
      },
      root,
      instance,
      reopen: async () => {
        await runtime.close();
        runtime = await open();
        return runtime;
      },
    });
  } finally {
    // Most payloads are a PID 1 that does not obey SIGTERM.
    for (const { spec, state } of (await runtime.observe()).containers) {
      if (state !== "running" && state !== "paused") continue;
      await runtime.stopContainer(spec.id, { graceMs: 0, abort: AbortSignal.timeout(10_000) });
    }
    await runtime.destroy({ volumes: true, abort: AbortSignal.timeout(20_000) });
    for (const database of databases) database.close();
    rmSync(root, { recursive: true, force: true });
  }
}

/** A container of the probe image; `argv` goes to the probe. */
export function probeSpec(
  runtime: Runtime,
  argv: readonly string[],
  more: Partial<ContainerSpec> = {},
): ContainerSpec {
  return payloadSpec(runtime, "probe", argv, more);
}

export function payloadSpec(
  runtime: Runtime,
  payload: "probe" | "web",
  argv: readonly string[],
  more: Partial<ContainerSpec> = {},
): ContainerSpec {
  const id = randomBytes(32).toString("hex");
  const image = runtime.images.find(`localhost/${payload}:test`);
  if (image === undefined) throw new Error(`cannot find the ${payload} image: it is loaded first`);
  return {
    id,
    name: `${payload}-${id.slice(0, 6)}`,
    labels: {},
    image: { reference: `localhost/${payload}:test`, digest: image.digest },
    command: argv,
    environment: {},
    mounts: [],
    networks: [],
    ports: [],
    resources: { pidsMax: 200 },
    readOnlyRoot: false,
    init: false,
    tty: false,
    stdinOpen: false,
    log: { fileBytesMax: 10_000_000, filesMax: 3 },
    ...more,
  };
}

/** Creates, starts and waits for the end; returns what it printed and how it ended. */
export async function runToEnd(runtime: Runtime, spec: ContainerSpec) {
  await runtime.createContainer(spec);
  await runtime.startContainer(spec.id);
  const lines = await collect(
    runtime.logs(spec.id, { follow: true, abort: AbortSignal.timeout(30_000) }),
  );
  const status = await statusOf(runtime, spec.id);
  return {
    exit: status.exit,
    stdout: textOf(lines, "stdout"),
    stderr: textOf(lines, "stderr"),
  };
}

export async function statusOf(runtime: Runtime, id: string) {
  const { containers } = await runtime.observe();
  const status = containers.find(({ spec }) => spec.id === id);
  if (status === undefined) throw new Error(`cannot find container ${id}`);
  return status;
}

/** Runs the probe inside a running container. */
export async function execProbe(runtime: Runtime, id: string, argv: readonly string[]) {
  const session = await runtime.exec(id, {
    argv,
    environment: {},
    tty: false,
    stdin: false,
    detach: false,
  });
  return sessionResult(session);
}

/** Everything that a session wrote, and how it ended. */
export async function sessionResult(session: ProcessSession) {
  const [stdout, stderr, exit] = await Promise.all([
    readText(session.stdout),
    readText(session.stderr),
    session.exit,
  ]);
  return { stdout, stderr, exit };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Asks again until the answer is not undefined. */
export async function eventually<T>(
  ask: () => Promise<T | undefined> | T | undefined,
  what: string,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`cannot see ${what} within ${timeoutMs} ms`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

function textOf(lines: readonly LogLine[], stream: LogLine["stream"]): string {
  return lines
    .filter((line) => line.stream === stream)
    .map(({ text }) => text)
    .join("");
}

async function readText(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}

async function loadPayloads(runtime: Runtime, root: string): Promise<void> {
  const layout = join(root, "layout");
  const programs = (names: readonly string[]) =>
    names.map((name) => ({ path: payloadPath(name), installAs: `/bin/${name}` }));
  const config = { Env: ["FROM_IMAGE=yes"] };
  const recipes = [
    programImage(
      "localhost/probe:test",
      programs(["probe", "probe-kernel", "probe-keys", "probe-net", "probe-surface"]),
      config,
    ),
    programImage("localhost/web:test", programs(["web"]), config),
  ];
  writeOciLayout(layout, recipes);
  await runtime.images.load(layout, { abort: AbortSignal.timeout(30_000) });
}
