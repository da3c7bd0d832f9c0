import { readFileSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { ProcessIdentity } from "../helper/launcher.ts";
import { isAlive } from "../helper/process-identity.ts";
import { SupervisorClient } from "../helper/supervisor-client.ts";
import { attachToContainer } from "../helper/supervisor-session.ts";

/** Signals that somebody sends to this process and means for the one in the container. */
const forwarded = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"] as const;

/**
 * Waits for the end of a process whose supervisor listens in this directory, which is removed then, and passes signals
 * on. Resolves with its exit code: 128 and the signal where it was killed.
 */
export async function waitForEnd(process: ProcessIdentity, supervisorDir: string): Promise<number> {
  for (const name of forwarded) {
    globalThis.process.on(name, () => {
      if (isAlive(process)) globalThis.process.kill(process.pid, name);
    });
  }
  try {
    const connected = await SupervisorClient.connect(`${supervisorDir}/s`).catch(() => undefined);
    const ended = await connected?.client.ended;
    connected?.client.close();
    if (ended !== undefined) return exitCode(ended);
    return exitCode(await readExit(`${supervisorDir}/exit`));
  } finally {
    rmSync(supervisorDir, { recursive: true, force: true });
  }
}

/**
 * Joins this process's terminal with the one in the container, whose process waits for it, and lets that run. Resolves
 * once all of its output was written. Rejects with a HelperError when its program cannot be executed.
 */
export async function joinTerminal(
  supervisorDir: string,
  onRunning: () => Promise<void> = async () => {},
): Promise<number> {
  const { stdin, stdout } = globalThis.process;
  const session = await attachToContainer({ socketPath: `${supervisorDir}/s` }, { stdin: true });
  const resize = () => session.resize({ rows: stdout.rows ?? 24, columns: stdout.columns ?? 80 });
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.pipe(session.stdin);
  session.stdout.pipe(stdout);
  resize();
  stdout.on("resize", resize);
  try {
    await release(supervisorDir);
    await onRunning();
    const ended = await session.exit;
    const isKnown = ended.code !== undefined || ended.signal !== undefined;
    return exitCode(isKnown ? ended : await readExit(`${supervisorDir}/exit`));
  } finally {
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.destroy();
    rmSync(supervisorDir, { recursive: true, force: true });
  }
}

async function release(supervisorDir: string): Promise<void> {
  const { client } = await SupervisorClient.connect(`${supervisorDir}/s`);
  try {
    await client.release();
  } finally {
    client.close();
  }
}

/** The record is written before the supervisor closes its socket. */
async function readExit(
  path: string,
): Promise<{ readonly code?: number; readonly signal?: number }> {
  for (let attempts = 0; attempts < 100; attempts += 1) {
    try {
      // Written by the helper, in a directory of root's.
      return JSON.parse(readFileSync(path, "utf8")) as { code?: number; signal?: number };
    } catch {
      await sleep(10);
    }
  }
  return { code: 255 };
}

function exitCode(exit: { readonly code?: number; readonly signal?: number }): number {
  const { code, signal } = exit;
  if (signal !== undefined && signal !== 0) return 128 + signal;
  return code ?? 255;
}
