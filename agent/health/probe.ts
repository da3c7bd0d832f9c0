import type { Healthcheck } from "../../manifests/desired-state.ts";
import type { ProcessSession, Runtime } from "../../runtime/runtime.ts";
import type { Clock } from "../clock.ts";

export type ProbeResult = {
  readonly ok: boolean;
  /** The beginning of what the probe wrote, for people. */
  readonly output: string;
};

const outputBytesMax = 4_096;

/** Runs a healthcheck's command once inside the container; a probe that takes too long is killed and has failed. */
export async function runProbe(options: {
  readonly runtime: Pick<Runtime, "exec">;
  readonly containerId: string;
  readonly check: Healthcheck;
  readonly clock: Clock;
  readonly abort: AbortSignal;
}): Promise<ProbeResult> {
  const { runtime, containerId, check, clock, abort } = options;
  let session: ProcessSession;
  try {
    session = await runtime.exec(containerId, {
      argv: probeArgv(check.test),
      environment: {},
      tty: false,
      stdin: false,
      detach: false,
    });
  } catch (error) {
    return { ok: false, output: error instanceof Error ? error.message : String(error) };
  }
  const output = collectOutput(session);
  const limit = new AbortController();
  const cancel = AbortSignal.any([abort, limit.signal]);
  try {
    const exit = await Promise.race([
      session.exit,
      clock.sleep(check.timeoutMs, cancel).then(() => undefined),
    ]);
    if (exit === undefined) {
      return { ok: false, output: `no answer within ${check.timeoutMs} ms ${output()}`.trim() };
    }
    return { ok: exit.code === 0 && exit.signal === undefined, output: output() };
  } finally {
    limit.abort();
    session.close();
  }
}

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
