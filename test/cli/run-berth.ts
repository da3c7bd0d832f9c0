/** `bin/berth` as a real process against an API of the test. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const berth = fileURLToPath(new URL("../../bin/berth", import.meta.url));

export type Outcome = {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
};

export function startBerth(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): ChildProcessWithoutNullStreams {
  return spawn(berth, args, { env: { PATH: process.env.PATH, NO_COLOR: "1", ...environment } });
}

/** Runs to the end with `input` as standard input. */
export async function runBerth(
  args: readonly string[],
  input: string | Buffer = "",
  environment: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const child = startBerth(args, environment);
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  return outcome(child);
}

export async function outcome(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}
