import { spawn } from "node:child_process";
import * as z from "zod";
import { ImageError } from "../images/image-error.ts";

const DEADLINE_MS = 30_000;
const OUTPUT_BYTES_MAX = 64 * 1024;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** What helpers print when they have nothing, with exit code 1. */
const NOT_FOUND = /credentials not found|no credentials server url|not found in native keychain/i;

const Answer = z.object({ Username: z.string(), Secret: z.string() });

export type HelperCredentials = { readonly username: string; readonly secret: string };

/** The helper's credentials for a server, undefined when it has none. */
export async function askHelper(
  name: string,
  server: string,
): Promise<HelperCredentials | undefined> {
  const { code, output } = await run(name, "get", server);
  if (code !== 0 && NOT_FOUND.test(output)) return undefined;
  if (code !== 0) throw failed(name, `it ended with ${code}`);
  try {
    const answer = Answer.parse(JSON.parse(output));
    return { username: answer.Username, secret: answer.Secret };
  } catch {
    // The parser's message may quote the secret.
    throw failed(name, "its answer is not JSON with Username and Secret");
  }
}

export async function tellHelper(
  name: string,
  server: string,
  { username, secret }: HelperCredentials,
): Promise<void> {
  const input = JSON.stringify({ ServerURL: server, Username: username, Secret: secret });
  const { code } = await run(name, "store", input);
  if (code !== 0) throw failed(name, `it ended with ${code} and stored nothing`);
}

/** False when it had none. */
export async function emptyHelper(name: string, server: string): Promise<boolean> {
  const { code, output } = await run(name, "erase", server);
  if (code !== 0 && !NOT_FOUND.test(output)) throw failed(name, `it ended with ${code}`);
  return code === 0;
}

/** The program with its verb, the input on its standard input: no shell, nothing of it in the process list. */
function run(
  name: string,
  verb: "get" | "store" | "erase",
  input: string,
): Promise<{ readonly code: number | null; readonly output: string }> {
  if (!NAME.test(name)) {
    throw failed(JSON.stringify(name.slice(0, 64)), "a name of letters, digits, . _ - is expected");
  }
  return new Promise((resolve, reject) => {
    const child = spawn(`docker-credential-${name}`, [verb], {
      // A process group of its own, so that what it starts ends with it.
      detached: true,
      stdio: ["pipe", "pipe", "ignore"],
    });
    const end = (why: string): void => {
      clearTimeout(timer);
      if (child.pid !== undefined) killGroup(child.pid);
      reject(failed(name, why));
    };
    const timer = setTimeout(() => end(`it took longer than ${DEADLINE_MS / 1000} s`), DEADLINE_MS);
    const chunks: Buffer[] = [];
    let bytes = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > OUTPUT_BYTES_MAX) end("it printed more than 64 KiB");
      else chunks.push(chunk);
    });
    child.once("error", (error) => end(error.message));
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ code, output: Buffer.concat(chunks).toString("utf8") });
    });
    // A helper may end without reading.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

function failed(name: string, why: string): ImageError {
  return new ImageError({
    because: `the credential helper docker-credential-${name} failed (${why})`,
    fix: "run it by hand to see why, or remove it from credHelpers and credsStore in Docker's config.json",
    kind: "retryable",
  });
}
