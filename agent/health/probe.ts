import type { Healthcheck } from "../../manifests/desired-state.ts";
import type { ProcessSession, Runtime } from "../../runtime/runtime.ts";
import type { Clock } from "../clock.ts";
import { askHttp } from "./ask-http.ts";

export type ProbeResult = {
  readonly ok: boolean;
  /** The beginning of what the probe wrote, for people. */
  readonly output: string;
};

export type ProbedRuntime = Pick<Runtime, "exec" | "dial">;

const outputBytesMax = 4_096;

/**
 * Asks a container once: by a command in it, or by a question to one of its ports. A probe that takes too long, its start included, is killed and
 * has failed. Rejects when `abort` comes.
 */
export async function runProbe(options: {
  readonly runtime: ProbedRuntime;
  readonly containerId: string;
  readonly check: Healthcheck;
  readonly clock: Clock;
  readonly abort: AbortSignal;
}): Promise<ProbeResult> {
  const { check, clock, abort } = options;
  const done = new AbortController();
  const cancel = AbortSignal.any([abort, done.signal]);
  const late = clock.sleep(check.timeoutMs, cancel).then(() => undefined);
  // Left behind, rejected, by a probe that is done.
  late.catch(() => {});
  let session: ProcessSession | undefined;
  let output = () => "";
  try {
    const starting = start(options, cancel);
    session = await Promise.race([starting, late]);
    if (session !== undefined) {
      if (check.probe?.kind === "http") {
        const answer = askHttp(session, check.probe, cancel);
        answer.catch(() => {});
        const result = await Promise.race([answer, late]);
        if (result !== undefined) return result;
      } else {
        output = collectOutput(session);
        const exit = await Promise.race([session.exit, late]);
        if (exit !== undefined) {
          return { ok: exit.code === 0 && exit.signal === undefined, output: output() };
        }
      }
    }
    return { ok: false, output: `no answer within ${check.timeoutMs} ms ${output()}`.trim() };
  } catch (error) {
    if (abort.aborted) throw error;
    return { ok: false, output: error instanceof Error ? error.message : String(error) };
  } finally {
    done.abort();
    session?.close();
  }
}

/** A session that comes after nobody waits for it any more is ended. */
async function start(
  { runtime, containerId, check }: Parameters<typeof runProbe>[0],
  cancel: AbortSignal,
): Promise<ProcessSession> {
  if (check.probe !== undefined) {
    const relay = check.probe.kind === "http";
    const dial = { address: loopback, port: check.probe.port, relay };
    return endLate(await runtime.dial(containerId, dial, { abort: cancel }), cancel);
  }
  const exec = { argv: probeArgv(check.test), environment: {} };
  const streams = { tty: false, stdin: false, detach: false };
  const spec = { ...exec, ...streams };
  return endLate(await runtime.exec(containerId, spec, { abort: cancel }), cancel);
}

function endLate(session: ProcessSession, cancel: AbortSignal): ProcessSession {
  if (cancel.aborted) session.close();
  return session;
}

const loopback = "127.0.0.1";

function probeArgv(test: readonly string[]): string[] {
  const [kind, ...rest] = test;
  return kind === "CMD-SHELL" ? ["/bin/sh", "-c", ...rest] : rest;
}

/** Keeps reading, so that a talkative probe does not block, but keeps the first bytes only. */
function collectOutput(session: ProcessSession): () => string {
  const chunks: Buffer[] = [];
  let length = 0;
  const take = (chunk: Buffer | string) => {
    const bytes = Buffer.from(chunk).subarray(0, outputBytesMax - length);
    length += bytes.length;
    if (bytes.length > 0) chunks.push(bytes);
  };
  for (const stream of [session.stdout, session.stderr]) {
    stream.on("data", take);
    stream.on("error", () => {});
  }
  return () => Buffer.concat(chunks).toString("utf8").trim();
}
