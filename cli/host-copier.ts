/** The host's side of a copy: the helper, which resolves every name of an archive beneath where it is put. */
import { type ChildProcess, spawn } from "node:child_process";
import { PassThrough, type Readable, type Writable } from "node:stream";
import { helperPath } from "../runtime/helper/helper-path.ts";

const stderrBytesMax = 65_536;

export type HostCopier = {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Resolves with what it said; `ok` when all was copied. */
  readonly ended: Promise<{ readonly ok: boolean; readonly lines: readonly string[] }>;
  kill(): void;
};

export function startHostCopier(
  verb: "copy-in" | "copy-out",
  options: {
    /** Letters as the helper's usage names them. */
    readonly flags: string;
    readonly bytesMax: number;
    readonly entriesMax: number;
    readonly path: string;
    readonly name: string;
  },
): HostCopier {
  const { flags, bytesMax, entriesMax, path, name } = options;
  const argv = [verb, flags === "" ? "-" : flags, `${bytesMax}`, `${entriesMax}`, path, name];
  const child = spawn(helperPath, argv, { stdio: ["pipe", "pipe", "pipe"] });
  // When it ends early, its own words say why.
  child.stdin.on("error", () => undefined);
  const lines = readLines(child.stderr);
  return {
    stdin: child.stdin,
    // What nobody reads by the time a child exits, Node throws away.
    stdout: child.stdout.pipe(new PassThrough()),
    ended: whenEnded(child).then(async (ok) => ({ ok, lines: await lines })),
    kill: () => child.kill("SIGKILL"),
  };
}

function whenEnded(child: ChildProcess): Promise<boolean> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code === 0));
  });
}

/** Whole, as long as it is not absurd. */
export async function readLines(stream: Readable): Promise<readonly string[]> {
  let text = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) {
    if (text.length < stderrBytesMax) text += chunk;
  }
  return text.split("\n").filter((line) => line !== "");
}
