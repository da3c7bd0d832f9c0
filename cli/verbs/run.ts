import { randomBytes } from "node:crypto";
import { Writable } from "node:stream";
import type { Command } from "commander";
import type { RunReport, RunRequest } from "../../agent/control/run-control.ts";
import type { TransferStep } from "../../agent/images/transfer-meter.ts";
import { call, readLines } from "../agent-client.ts";
import { borrowMounts } from "../borrow-mounts.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { readEnvFiles } from "../env-file.ts";
import { openExec } from "../exec-client.ts";
import { followSession, requireTerminal, terminalSize } from "../follow-session.ts";
import { withIdFile } from "../id-file.ts";
import { type RunOptions, runCompose } from "../run-compose.ts";
import { createRunProgress, type RunProgress } from "../run-progress.ts";
import { print, printJson } from "../terminal.ts";

type Options = RunOptions & {
  readonly detach?: boolean;
  readonly rm?: boolean;
  readonly quiet?: boolean;
  readonly publishAll?: boolean;
  readonly attach?: readonly string[];
  readonly cidfile?: string;
  readonly envFile?: readonly string[];
  readonly volumesFrom?: readonly string[];
  readonly name?: string;
  readonly pull: "missing" | "always" | "never";
};

type RunLine = { readonly progress: TransferStep } | { readonly ran: RunReport };

/** Without `-d` in front: its streams and signals are this process's own, and so is its exit code. */
export async function runRun(context: Context, command: Command): Promise<number | undefined> {
  const options = command.opts<Options>();
  const { detach = false, attach, cidfile } = options;
  if (detach && attach !== undefined)
    throw new CliError(2, "cannot attach to what -d leaves to itself: leave out -a or -d");
  const interactive = options.interactive === true && attach?.includes("stdin") !== false;
  if (!detach) requireTerminal({ stdin: interactive, tty: options.tty === true });
  const request = await readRequest(context, command, options);
  const progress = createRunProgress({ quiet: options.quiet === true });
  return withIdFile(cidfile, async (writeId) => {
    if (!detach) return inFront(context, { request, options, interactive, progress, writeId });
    const report = await runDetached(context, request, progress);
    await writeId(report.id);
    if (context.json) printJson(report);
    else print(report.name);
    return undefined;
  });
}

async function readRequest(
  context: Context,
  command: Command,
  options: Options,
): Promise<RunRequest> {
  const { envFile = [], volumesFrom = [], rm: remove = false, publishAll = false } = options;
  const { pull, name: asked, ...given } = options;
  const [image = "", ...argv] = command.args;
  const name = asked ?? `run-${randomBytes(3).toString("hex")}`;
  const env = { ...(await readEnvFiles(envFile)), ...given.env };
  const borrowed = await borrowMounts(context, volumesFrom);
  const compose = runCompose({ name, image, command: argv, given: { ...given, env }, borrowed });
  return { name, pull, compose, remove, publishAll };
}

async function runDetached(
  context: Context,
  request: RunRequest,
  progress: RunProgress,
): Promise<RunReport> {
  try {
    for await (const line of readLines<RunLine>(context, "POST /v1/run", request)) {
      if ("ran" in line) return line.ran;
      progress.note(line.progress);
    }
  } finally {
    progress.clear();
  }
  const { name } = request;
  throw new CliError(
    1,
    `cannot say whether ${name} runs because the agent ended meanwhile: see 'berth ps -a'`,
  );
}

async function inFront(
  context: Context,
  front: {
    readonly request: RunRequest;
    readonly options: Options;
    readonly interactive: boolean;
    readonly progress: RunProgress;
    readonly writeId: (id: string) => Promise<void>;
  },
): Promise<number> {
  const { request, interactive: stdin, progress, writeId } = front;
  const { attach, tty = false } = front.options;
  const { name } = request;
  const terminal = tty ? terminalSize() : undefined;
  const asking = { ...request, stdin, ...(terminal === undefined ? {} : { terminal }) };
  const stream = (of: "stdout" | "stderr") =>
    attach?.includes(of) === false ? unheard() : process[of];
  const client = await openExec({
    context,
    path: "/v1/run",
    request: asking,
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    onProgress: (step) => progress.note(step),
  });
  const begun = client.started.finally(() => progress.clear());
  const noted = begun.then(async ({ id }) => id !== undefined && (await writeId(id)));
  noted.catch(() => undefined);
  const goesOn = `left ${name}, which goes on: 'berth kill ${name}' ends it`;
  const code = await followSession(client, { subject: name, stdin, tty, goesOn });
  await noted;
  return code;
}

function unheard(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}

export async function runRm(context: Context, command: Command): Promise<undefined> {
  type RmOptions = { readonly force?: boolean; readonly volumes?: boolean };
  const { force = false, volumes = false } = command.opts<RmOptions>();
  for (const name of new Set(command.args)) {
    await call(context, "POST /v1/rm", { name, force, volumes });
    if (!context.json) print(name);
  }
  if (context.json) printJson([...new Set(command.args)]);
}
