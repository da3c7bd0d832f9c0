import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { readLog } from "../../runtime/containers/container-logs.ts";

const line = (text: string, second = 0) =>
  `${JSON.stringify({ log: `${text}\n`, stream: "stdout", time: `2026-01-01T00:00:0${second}.000000000Z` })}\n`;

async function withLog(work: (path: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "bt-log-"));
  try {
    await work(join(dir, "container.log"));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function texts(lines: AsyncIterable<{ readonly text: string }>): Promise<string[]> {
  const all: string[] = [];
  for await (const { text } of lines) all.push(text.trimEnd());
  return all;
}

const never = new Promise(() => {});
const stored = { follow: false, abort: AbortSignal.timeout(10_000), ended: never };

test("rotated files come first, the highest number oldest", (t) =>
  withLog(async (path) => {
    writeFileSync(`${path}.2`, line("a"));
    writeFileSync(`${path}.1`, line("b"));
    writeFileSync(path, line("c"));
    t.deepEqual(await texts(readLog(path, stored)), ["a", "b", "c"]);
    t.deepEqual(await texts(readLog(path, { ...stored, tail: 2 })), ["b", "c"]);
    t.deepEqual(await texts(readLog(path, { ...stored, tail: 0 })), []);
  }));

test("a line that a power cut tore is passed over", (t) =>
  withLog(async (path) => {
    writeFileSync(path, `{"log":"half${"\n"}${line("whole")}garbage\n`);
    t.deepEqual(await texts(readLog(path, stored)), ["whole"]);
  }));

test("since leaves out what is older", (t) =>
  withLog(async (path) => {
    writeFileSync(path, line("old", 1) + line("new", 5));
    const sinceMs = Date.parse("2026-01-01T00:00:03Z");
    t.deepEqual(await texts(readLog(path, { ...stored, sinceMs })), ["new"]);
  }));

test("a follower sees what is written later, over a rotation, and ends with the container", (t) =>
  withLog(async (path) => {
    writeFileSync(path, line("first"));
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const seen: string[] = [];
    const log = readLog(path, { follow: true, abort: AbortSignal.timeout(10_000), ended });
    for await (const { text } of log) {
      seen.push(text.trimEnd());
      if (seen.length === 1) appendFileSync(path, line("second"));
      if (seen.length === 2) {
        appendFileSync(path, line("third"));
        renameSync(path, `${path}.1`);
        writeFileSync(path, line("fourth"));
      }
      if (seen.length === 4) end();
    }
    t.deepEqual(seen, ["first", "second", "third", "fourth"]);
  }));

test("a log that was never written has no lines", (t) =>
  withLog(async (path) => {
    t.deepEqual(await texts(readLog(path, stored)), []);
  }));
