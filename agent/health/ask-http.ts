import { request } from "node:http";
import { Duplex } from "node:stream";
import type { NetworkProbe } from "../../manifests/desired-state.ts";
import type { ProcessSession } from "../../runtime/runtime.ts";
import type { ProbeResult } from "./probe.ts";

/**
 * One GET over a session that is joined to the connection. The status decides; of the body the beginning is kept, for
 * people. Rejects when `abort` comes; whatever else fails is a bad result.
 */
export async function askHttp(
  session: ProcessSession,
  probe: Extract<NetworkProbe, { kind: "http" }>,
  abort: AbortSignal,
): Promise<ProbeResult> {
  const { port, path, host = port === 80 ? "localhost" : `localhost:${port}` } = probe;
  const complaint = readStart(session.stderr);
  const connection = duplexOf(session);
  try {
    return await new Promise<ProbeResult>((resolve, reject) => {
      const asked = request({
        createConnection: () => connection,
        path,
        headers: { host, "user-agent": "berth", connection: "close" },
        maxHeaderSize: headerBytesMax,
        signal: abort,
      });
      asked.once("error", reject);
      asked.once("response", (answer) => {
        const status = answer.statusCode ?? 0;
        const ok = status >= probe.statusMin && status <= probe.statusMax;
        const body = readStart(answer);
        const settle = () => resolve({ ok, output: `${status} ${body()}`.trim() });
        answer.once("error", settle).once("close", settle);
      });
      asked.end();
    });
  } catch (error) {
    if (abort.aborted) throw error;
    const { code } = await session.exit;
    const why = code === 1 && complaint() !== "" ? complaint() : noAnswer(error);
    return { ok: false, output: why };
  } finally {
    connection.destroy();
  }
}

const headerBytesMax = 16_384;
const textBytesMax = 4_096;

function duplexOf({ stdin, stdout }: ProcessSession): Duplex {
  const connection = new Duplex({
    read: () => stdout.resume(),
    write: (chunk: Buffer, _encoding, done) => stdin.write(chunk, (error) => done(error)),
    final: (done) => stdin.end(() => done()),
  });
  stdout.on("data", (chunk: Buffer) => {
    if (!connection.push(chunk)) stdout.pause();
  });
  stdout.once("end", () => connection.push(null));
  return connection;
}

/** Destroys the stream once there is enough. */
function readStart(stream: NodeJS.ReadableStream & { destroy?: () => unknown }): () => string {
  const chunks: Buffer[] = [];
  let left = textBytesMax;
  stream.on("error", () => {});
  stream.on("data", (chunk: Buffer | string) => {
    const bytes = Buffer.from(chunk).subarray(0, left);
    left -= bytes.length;
    chunks.push(bytes);
    if (left === 0) stream.destroy?.();
  });
  return () => Buffer.concat(chunks).toString("utf8").trim();
}

function noAnswer(error: unknown): string {
  return `no answer in HTTP: ${error instanceof Error ? error.message : String(error)}`;
}
