import { spawn } from "node:child_process";

export type VerifierRun = {
  readonly program: string;
  readonly args: readonly string[];
  readonly input: Buffer;
  readonly abort: AbortSignal;
};

const timeLimitMs = 10_000;
const outputBytesMax = 65_536;
const packages: Readonly<Record<string, string>> = { "ssh-keygen": "openssh-client", gpgv: "gpgv" };

/** Runs a program that judges a signature, without a shell and with an environment of its own. */
export async function runVerifier(
  run: VerifierRun,
): Promise<{ readonly ok: boolean; readonly output: string }> {
  const { program, args, input, abort } = run;
  const signal = AbortSignal.any([abort, AbortSignal.timeout(timeLimitMs)]);
  const child = spawn(program, args, {
    env: { PATH: process.env.PATH, LC_ALL: "C" },
    stdio: ["pipe", "pipe", "pipe"],
    signal,
    killSignal: "SIGKILL",
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      if (output.length < outputBytesMax) output += chunk.toString("utf8");
    });
  }
  // The program may have ended before it read everything; its status says why.
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  }).catch((cause: unknown) => {
    if (abort.aborted) throw abort.reason;
    throw new Error(
      `cannot verify a signature because ${program} cannot be run: install ${packages[program] ?? program}`,
      { cause },
    );
  });
  return { ok: status === 0, output };
}
