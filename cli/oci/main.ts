/** `berth oci`: an OCI runtime's command line. Every invocation is a process of its own; no agent is needed. */
import { parseArguments, UsageError } from "./arguments.ts";
import { type Logging, logFailure, logWarning } from "./failure.ts";
import { print } from "./print.ts";
import { verbUsage } from "./usage.ts";
import { findVerb, verbNames } from "./verbs.ts";
import { versionText } from "./version-text.ts";

const globalOptions = {
  root: "value",
  log: "value",
  "log-format": "value",
  "log-level": "value",
  debug: "flag",
  "systemd-cgroup": "flag",
  "cgroup-manager": "value",
  rootless: "value",
  criu: "value",
  version: "flag",
  help: "flag",
} as const;

const usage = `usage: berth oci [--root DIR] [--log FILE] [--log-format text|json] VERB [OPTIONS] CONTAINER

Verbs: ${verbNames.join(" ")}

Example: berth oci run --bundle /tmp/bundle web
`;

/** Told from the exit code of the program, as far as that can be. */
const execFailureCode = 255;

process.exitCode = await runOci(process.argv.slice(2));

/** Carries out the words after `berth oci`. Resolves with the exit code. */
async function runOci(words: readonly string[]): Promise<number> {
  const logging: Logging = {};
  let verbName: string | undefined;
  try {
    const global = parseArguments(words, globalOptions, { short: { v: "version", h: "help" } });
    const file = global.values.get("log");
    const format = global.values.get("log-format");
    if (file !== undefined) logging.file = file;
    if (format !== undefined) logging.format = format;
    const [name, ...rest] = global.rest;
    verbName = name;
    if (global.flags.has("version")) return print(versionText());
    if (name === undefined || name === "help" || global.flags.has("help")) return print(usage);
    const verb = findVerb(name);
    if (verb === undefined) {
      throw new UsageError(`cannot do ${name}: one of ${verbNames.join(", ")} is expected`);
    }
    const help = verbUsage(name);
    if (help !== undefined && (rest[0] === "--help" || rest[0] === "-h")) return print(help);
    refuseRootless(global.values.get("rootless"));
    return await verb({
      root: global.values.get("root") ?? "/run/berth-oci",
      words: rest,
      warn: (text) => logWarning(text, logging),
    });
  } catch (error) {
    logFailure(error, logging);
    if (error instanceof UsageError) return 2;
    return verbName === "exec" ? execFailureCode : 1;
  }
}

function refuseRootless(asked: string | undefined): void {
  if (asked !== "true" && process.geteuid?.() === 0) return;
  throw new Error(
    "cannot run containers without root: rootless containers are not supported, run berth oci as root",
  );
}
