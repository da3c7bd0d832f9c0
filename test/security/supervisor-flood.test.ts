import { createReadStream, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { ExecutionContext } from "ava";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { type Bench, probeSpec, statusOf, withRuntime } from "../kernel/runtime-harness.ts";

const mebibyte = 1024 * 1024;
/** `FLOOD_BYTES=1073741824` floods with a gibibyte, which takes a quarter of an hour. */
const floodBytes = Number(process.env.FLOOD_BYTES ?? 64 * mebibyte);
/** Every write is a system call and a turn of the supervisor. */
const singleBytes = Number(process.env.FLOOD_BYTES ?? 8 * mebibyte);
const privateBytesMax = 1 * mebibyte;

serialKernelTest(
  "output written byte by byte costs the supervisor no memory and is kept whole",
  (t) =>
    withRuntime((bench) =>
      flood(t, bench, { argv: ["flood", `${singleBytes}`, "1"], bytes: singleBytes }),
    ),
);

serialKernelTest("a line without end costs the supervisor no memory and is kept whole", (t) =>
  withRuntime((bench) =>
    flood(t, bench, { argv: ["line", `${floodBytes - 1}`], bytes: floodBytes }),
  ),
);

serialKernelTest(
  "a flood beyond the rotation keeps exactly the newest files, each of them full",
  (t) => withRuntime((bench) => flood(t, bench, { argv: ["line", `${floodBytes - 1}`] })),
);

serialKernelTest(
  "a reader that attaches and reads nothing holds up neither container nor log",
  (t) =>
    withRuntime(async ({ runtime }) => {
      const log = { fileBytesMax: 200 * mebibyte, filesMax: 2 };
      const spec = probeSpec(runtime, ["flood", `${32 * mebibyte}`], { log, stdinOpen: true });
      await runtime.createContainer(spec);
      await runtime.startContainer(spec.id);
      const session = await runtime.attach(spec.id, { stdin: false });
      session.stdout.pause();
      const supervisor = supervisorOf((await statusOf(runtime, spec.id)).pid);
      const peak = await watchUntilEnd(runtime, spec.id, supervisor);
      t.true(peak < 2 * privateBytesMax, `${peak} bytes`);
      const { exit, logPath } = await statusOf(runtime, spec.id);
      t.like(exit, { code: 0, oomKilled: false });
      t.is(await loggedBytes(logPath), 32 * mebibyte);
      session.close();
    }),
);

serialKernelTest("an end is told with its code or signal, the kernel's kill, and its time", (t) =>
  withRuntime(async ({ runtime }) => {
    for (const [argv, expected] of [
      [["exit", "255"], { code: 255, oomKilled: false }],
      [["raise", "11"], { signal: 11, oomKilled: false }],
      [["eat-memory", "100"], { signal: 9, oomKilled: true }],
    ] as const) {
      const spec = probeSpec(runtime, argv, { resources: { memoryBytesMax: 32 * mebibyte } });
      const began = Date.now();
      await runtime.createContainer(spec);
      await runtime.startContainer(spec.id);
      await watchUntilEnd(runtime, spec.id, 0);
      const { exit } = await statusOf(runtime, spec.id);
      t.like(exit, expected);
      t.true((exit?.finishedAtMs ?? 0) >= began && (exit?.finishedAtMs ?? 0) <= Date.now());
    }
  }),
);

async function flood(
  t: ExecutionContext,
  { runtime }: Bench,
  { argv, bytes }: { readonly argv: readonly string[]; readonly bytes?: number },
): Promise<void> {
  t.timeout(3_600_000);
  // JSON and the time of each piece are added.
  const fileBytesMax = bytes === undefined ? 4 * mebibyte : 2 * bytes;
  const spec = probeSpec(runtime, argv, { log: { fileBytesMax, filesMax: 3 } });
  const began = performance.now();
  await runtime.createContainer(spec);
  const { pid } = await runtime.startContainer(spec.id);
  const peak = await watchUntilEnd(runtime, spec.id, supervisorOf(pid));
  t.log(`${Math.round(performance.now() - began)} ms, ${peak} private bytes at most`);
  t.true(peak > 0 && peak < privateBytesMax, `${peak} bytes`);
  const { exit, logPath } = await statusOf(runtime, spec.id);
  t.like(exit, { code: 0, oomKilled: false });
  if (bytes !== undefined) {
    t.is(await loggedBytes(logPath), bytes);
    return;
  }
  const files = logFiles(logPath);
  t.is(files.length, 3);
  for (const path of files.filter((path) => path !== logPath)) {
    const { size } = statSync(path);
    t.true(size >= fileBytesMax && size < fileBytesMax + 65_536, `${path}: ${size}`);
  }
}

/** The most private memory that was seen, in bytes; 0 for no process. */
async function watchUntilEnd(
  runtime: Bench["runtime"],
  id: string,
  supervisor: number,
): Promise<number> {
  let peak = 0;
  while ((await statusOf(runtime, id)).state === "running") {
    peak = Math.max(peak, privateBytes(supervisor));
    await new Promise((resolve) => {
      setTimeout(resolve, 25);
    });
  }
  return peak;
}

function privateBytes(pid: number): number {
  if (pid === 0) return 0;
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  } catch {
    return 0;
  }
  const figures = [...text.matchAll(/^(?:Private_Clean|Private_Dirty|Swap):\s+(\d+) kB$/gm)];
  return figures.reduce((total, [, kibibytes]) => total + Number(kibibytes) * 1024, 0);
}

function supervisorOf(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^PPid:\t(\d+)$/m.exec(status)?.[1]);
}

function logFiles(logPath: string): string[] {
  return readdirSync(dirname(logPath))
    .filter((name) => name.startsWith("container.log"))
    .map((name) => join(dirname(logPath), name));
}

/** Bytes of output in all files of the log, without their JSON. */
async function loggedBytes(logPath: string): Promise<number> {
  let bytes = 0;
  for (const path of logFiles(logPath)) {
    for await (const line of createInterface({ input: createReadStream(path, "latin1") })) {
      // As berth itself wrote it.
      bytes += (JSON.parse(line) as { log: string }).log.length;
    }
  }
  return bytes;
}
