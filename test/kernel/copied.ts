import { spawn } from "node:child_process";
import { buffer, text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import type { CopySpec } from "../../runtime/program/copy-spec.ts";
import type { ProcessSession, Runtime } from "../../runtime/runtime.ts";

const limits = { bytesMax: 1_000_000_000, entriesMax: 10_000 };
type Into = Partial<Extract<CopySpec, { direction: "in" }>>;
type Outcome = { readonly code: number | undefined; readonly stderr: string };

export function openCopyOut(
  runtime: Runtime,
  id: string,
  path: string,
  more: Partial<Extract<CopySpec, { direction: "out" }>> = {},
): Promise<ProcessSession> {
  const fixed = { direction: "out", entryName: ".", followLink: false, ...limits } as const;
  return runtime.copy(id, { ...fixed, path, ...more });
}

export function openCopyIn(
  runtime: Runtime,
  id: string,
  path: string,
  more: Into = {},
): Promise<ProcessSession> {
  const how = { extract: true, sourceName: "", contents: false, keepIds: false } as const;
  return runtime.copy(id, { direction: "in", ...how, ...limits, path, ...more });
}

/** What GNU tar makes of what is sent: its list, with types, modes and owners, and the content of all files. */
export async function copyOut(
  runtime: Runtime,
  id: string,
  path: string,
  more: Parameters<typeof openCopyOut>[3] = {},
): Promise<Outcome & { readonly list: string; readonly content: string }> {
  const session = await openCopyOut(runtime, id, path, more);
  const [stderr, archive, exit] = await Promise.all([
    text(session.stderr),
    buffer(session.stdout),
    session.exit,
  ]);
  if (exit.code !== 0) return { code: exit.code, stderr, list: "", content: "" };
  return {
    code: exit.code,
    stderr,
    list: await readArchive(["-tvf", "-", "--numeric-owner"], archive),
    content: await readArchive(["-xOf", "-"], archive),
  };
}

export async function copyIn(
  runtime: Runtime,
  id: string,
  path: string,
  archive: Buffer,
  more: Into = {},
): Promise<Outcome> {
  const session = await openCopyIn(runtime, id, path, more);
  session.stdin.end(archive);
  session.stdout.resume();
  const [stderr, exit] = await Promise.all([text(session.stderr), session.exit]);
  return { code: exit.code, stderr };
}

async function readArchive(options: readonly string[], archive: Buffer): Promise<string> {
  const tar = spawn("tar", options, { stdio: ["pipe", "pipe", "inherit"] });
  const [read] = await Promise.all([text(tar.stdout), pipeline([archive], tar.stdin)]);
  return read;
}
