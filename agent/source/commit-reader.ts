import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import type { FileReader } from "../../manifests/desired-state.ts";
import { fileTooLarge } from "../../manifests/file-too-large.ts";
import type { CommitTree, TreeEntry } from "./commit-tree.ts";

/** Files of one commit, read from the object store through one `git cat-file --batch`. */
export type CommitReader = FileReader & { close(): void };

const headerBytesMax = 1_024;

export function openCommitReader(options: {
  readonly gitDir: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly tree: CommitTree;
  readonly abort: AbortSignal;
}): CommitReader {
  const entries = options.tree.files;
  const paths = [...entries.keys()].sort();
  let batch: BatchReader | undefined;
  return {
    list: () => Promise.resolve(paths),
    async read(path, bytesMax) {
      const entry = entries.get(path);
      if (entry === undefined) return undefined;
      if (entry.sizeBytes > bytesMax) throw fileTooLarge(path, bytesMax);
      batch ??= startBatch(options);
      return batch.read(entry);
    },
    isExecutable: (path) => Promise.resolve(entries.get(path)?.executable === true),
    others: () => Promise.resolve(options.tree.others),
    contentName: (path) => entries.get(path)?.object,
    close: () => batch?.close(),
  };
}

type BatchReader = { read(entry: TreeEntry): Promise<Uint8Array>; close(): void };

/** One request at a time: the answers of `cat-file --batch` come in the order of the requests. */
function startBatch(options: {
  readonly gitDir: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly abort: AbortSignal;
}): BatchReader {
  const child = spawn("git", ["--git-dir", options.gitDir, "cat-file", "--batch"], {
    env: options.environment,
    stdio: ["pipe", "pipe", "pipe"],
    signal: options.abort,
    killSignal: "SIGKILL",
  });
  child.stderr.resume();
  child.stdin.on("error", () => {});
  const bytes = byteQueue(child);
  let queue: Promise<unknown> = Promise.resolve();
  return {
    read(entry) {
      const next = queue.then(() => readObject(child, bytes, entry));
      queue = next.catch(() => {});
      return next;
    },
    close: () => {
      child.stdin.end();
      child.kill("SIGKILL");
    },
  };
}

async function readObject(
  child: ChildProcessWithoutNullStreams,
  bytes: ByteQueue,
  entry: TreeEntry,
): Promise<Uint8Array> {
  child.stdin.write(`${entry.object}\n`);
  const header = await bytes.takeLine();
  if (header !== `${entry.object} blob ${entry.sizeBytes}`) {
    throw new Error(`cannot read object ${entry.object} because git answered "${header}"`);
  }
  const content = await bytes.take(entry.sizeBytes + 1);
  return content.subarray(0, entry.sizeBytes);
}

function doNothing(): void {}

type ByteQueue = { takeLine(): Promise<string>; take(count: number): Promise<Buffer> };

function byteQueue(child: ChildProcessWithoutNullStreams): ByteQueue {
  let chunks: Buffer[] = [];
  const held = { bytes: 0 };
  let ended: Error | undefined;
  let wake: () => void = doNothing;
  child.stdout.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    held.bytes += chunk.length;
    wake();
  });
  const end = (error: Error) => {
    ended ??= error;
    wake();
  };
  child.on("error", end);
  child.stdout.on("end", () => end(new Error("git cat-file ended early")));
  const more = async () => {
    if (ended !== undefined) throw new Error("cannot read from the mirror", { cause: ended });
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  };
  const all = () => {
    const joined = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
    chunks = [joined];
    return joined;
  };
  const take = async (count: number) => {
    for (;;) {
      if (held.bytes >= count) break;
      await more();
    }
    const joined = all();
    chunks = [joined.subarray(count)];
    held.bytes -= count;
    return joined.subarray(0, count);
  };
  return {
    take,
    async takeLine() {
      for (;;) {
        const newline = all().indexOf(10);
        if (newline >= 0) return (await take(newline + 1)).toString("utf8", 0, newline);
        if (held.bytes > headerBytesMax) throw new Error("cannot read git's answer: line too long");
        await more();
      }
    },
  };
}
