import { PassThrough, type Readable } from "node:stream";
import type { Command } from "commander";
import type { CopyRequest } from "../../agent/api/requests.ts";
import { refuseCompressed } from "../archive-head.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { type CopyEnd, parseCopyEnd, sourceNameOf } from "../copy-end.ts";
import { type ExecClient, openExec } from "../exec-client.ts";
import { type HostCopier, readLines, startHostCopier } from "../host-copier.ts";
import { printNote } from "../terminal.ts";

type CopyOptions = {
  readonly archive?: boolean;
  readonly followLink?: boolean;
  readonly limit?: number;
};

const bytesMaxDefault = 64 * 1024 ** 3;
const entriesMax = 10_000_000;

type Job = {
  readonly context: Context;
  readonly options: CopyOptions;
  readonly limits: { readonly bytesMax: number; readonly entriesMax: number };
  readonly source: CopyEnd;
  readonly destination: CopyEnd;
};

/** The rules are those of docker-cp(1); what is left out is named on stderr. */
export async function runCp(context: Context, command: Command): Promise<undefined> {
  const options = command.opts<CopyOptions>();
  const [source, destination] = [
    parseCopyEnd(command.args[0] ?? ""),
    parseCopyEnd(command.args[1] ?? ""),
  ];
  const limits = { bytesMax: options.limit ?? bytesMaxDefault, entriesMax };
  const job = { context, options, limits, source, destination };
  if (source.kind === "container" && destination.kind !== "container") await copyOut(job, source);
  else if (source.kind !== "container" && destination.kind === "container")
    await copyIn(job, destination);
  else {
    const both = source.kind === "container" ? "both are containers" : "neither is a container";
    throw new CliError(2, `cannot copy because ${both}: one of the two is NAME:PATH`);
  }
}

type Container = Extract<CopyEnd, { kind: "container" }>;

async function copyOut(job: Job, source: Container): Promise<void> {
  const { destination, options, limits } = job;
  const { name, contents } = sourceNameOf(source);
  const isStream = destination.kind === "stream";
  if (isStream && process.stdout.isTTY)
    throw new CliError(1, "cannot write an archive to a terminal: pipe it on, or give a path");
  const flags = `${contents ? "c" : ""}${options.archive ? "k" : ""}`;
  const receiver =
    destination.kind === "host"
      ? startHostCopier("copy-in", { flags, ...limits, path: destination.path, name })
      : undefined;
  const request: CopyRequest = {
    name: source.name,
    direction: "out",
    path: source.path,
    followLink: options.followLink ?? false,
    entryName: isStream && !contents ? name : ".",
    ...limits,
  };
  const stderr = new PassThrough();
  const lines = readLines(stderr);
  try {
    const stdout = receiver?.stdin ?? process.stdout;
    const client = await openExec({
      context: job.context,
      path: "/v1/copy",
      request,
      stdout,
      stderr,
    });
    await finish({
      job,
      client,
      stderr,
      lines,
      host: receiver,
      name: source.name,
      isSender: false,
    });
  } finally {
    receiver?.kill();
  }
}

async function copyIn(job: Job, destination: Container): Promise<void> {
  const { source, options, limits } = job;
  const { name, contents } = sourceNameOf(source);
  const isStream = source.kind === "stream";
  if (isStream && process.stdin.isTTY)
    throw new CliError(1, "cannot read an archive from a terminal: pipe a tar archive in");
  const input = isStream ? await refuseCompressed(process.stdin, destination) : undefined;
  const flags = options.followLink ? "f" : "";
  const sender =
    source.kind === "host"
      ? startHostCopier("copy-out", { flags, ...limits, path: source.path, name: "." })
      : undefined;
  const request: CopyRequest = {
    name: destination.name,
    direction: "in",
    path: destination.path,
    extract: isStream,
    sourceName: name,
    contents,
    keepIds: options.archive ?? false,
    ...limits,
  };
  const stderr = new PassThrough();
  const lines = readLines(stderr);
  try {
    const stdout = new PassThrough().resume();
    const client = await openExec({
      context: job.context,
      path: "/v1/copy",
      request,
      stdout,
      stderr,
    });
    await client.started;
    client.sendInput(sender?.stdout ?? (input as Readable));
    await finish({
      job,
      client,
      stderr,
      lines,
      host: sender,
      name: destination.name,
      isSender: true,
    });
  } finally {
    sender?.kill();
    if (isStream) process.stdin.destroy();
  }
}

/** Waits for both sides. A sender's failure is what the receiver stumbles over, so it is the one that is told. */
async function finish(ends: {
  readonly job: Job;
  readonly client: ExecClient;
  readonly stderr: PassThrough;
  readonly lines: Promise<readonly string[]>;
  readonly host: HostCopier | undefined;
  readonly name: string;
  /** The host's side is the one that sends. */
  readonly isSender: boolean;
}): Promise<void> {
  const { client, stderr, host, name, isSender } = ends;
  const hostEnd = host?.ended ?? Promise.resolve({ ok: true, lines: [] });
  const hostFailed = hostEnd.then(({ ok }) => (ok ? new Promise<never>(() => {}) : undefined));
  try {
    const exit = await Promise.race([client.exit, hostFailed]);
    stderr.end();
    if (exit !== undefined && !isSender) host?.stdin.end();
    if (exit === undefined) return tell(await hostEnd);
    if (exit.signal !== null) throw endedBySignal(name);
    const container = { ok: exit.code === 0, lines: await ends.lines };
    // A receiver puts its unfinished file away once it sees the end.
    const other = await (container.ok || !isSender ? hostEnd : settled(hostEnd));
    if (isSender) tell(other);
    tell(container);
    if (!isSender) tell(other);
  } finally {
    client.close();
  }
}

/** A sender may wait for ever to be read: then it has nothing to say. */
function settled(
  end: HostCopier["ended"],
): Promise<{ readonly ok: boolean; readonly lines: readonly string[] }> {
  const silent = new Promise<{ ok: boolean; lines: readonly string[] }>((resolve) => {
    setTimeout(resolve, 200, { ok: true, lines: [] });
  });
  return Promise.race([end, silent]);
}

function tell({ ok, lines }: { readonly ok: boolean; readonly lines: readonly string[] }): void {
  const notes = ok ? lines : lines.slice(0, -1);
  for (const note of notes) printNote(`berth: ${note}`);
  if (!ok) throw new CliError(1, lines.at(-1) ?? "cannot copy because the copier failed");
}

function endedBySignal(name: string): CliError {
  return new CliError(
    1,
    `cannot copy because ${name} was started, ended or removed meanwhile, or killed the copy: copy again`,
  );
}
