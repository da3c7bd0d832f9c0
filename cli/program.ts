/** The command line as a whole: global options, the verbs, and how a verb is run. */
import { Command, Option } from "commander";
import { type Context, createContext, type GlobalOptions } from "./context.ts";
import { declareContainerVerbs } from "./declare-container-verbs.ts";
import { declareImageVerbs } from "./declare-image-verbs.ts";
import { declareInstanceVerbs } from "./declare-instance-verbs.ts";
import { declareManifestVerbs } from "./declare-manifest-verbs.ts";
import { printable } from "./terminal.ts";

/** A new verb; `example` ends its help. */
export type Declare = (nameAndArguments: string, summary: string, example: string) => Command;

/** Verbs are loaded when they run, so that each starts as fast as it can. Undefined is exit code 0. */
export type Verb = (context: Context, command: Command) => Promise<number | undefined>;

export function createProgram(): Command {
  const program = new Command("berth")
    .description(
      "Moors containers to a git commit: a GitOps agent for one host, with its own runtime.",
    )
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeErr: (text) => process.stderr.write(asSentence(text)) })
    .addHelpText("after", "\nExit codes: 0 done, 1 failed, 2 usage, 3 there are changes (plan).");
  addGlobalOptions(program);
  const declare: Declare = (nameAndArguments, summary, example) => {
    const command = program
      .command(nameAndArguments)
      .description(summary)
      .addHelpText("after", `\nExample:\n  ${example}`);
    addGlobalOptions(command);
    return command;
  };
  declareInstanceVerbs(declare);
  declareManifestVerbs(declare);
  declareContainerVerbs(declare);
  declareImageVerbs(declare);
  return program;
}

/** What commander calls when the verb was given. */
export function running(verb: Verb): (...given: readonly unknown[]) => Promise<void> {
  return async (...given) => {
    // Commander passes the command itself last.
    const command = given.at(-1) as Command;
    const before: GlobalOptions = command.parent?.opts() ?? {};
    const context = createContext({ ...before, ...pickGlobal(command.opts()) });
    const exitCode = await verb(context, command);
    if (exitCode !== undefined) process.exitCode = exitCode;
  };
}

function addGlobalOptions(command: Command): void {
  command
    .optionsGroup("Global options:")
    .addOption(new Option("--root <dir>", "keep everything below this directory (lib/ and run/)"))
    .addOption(
      new Option("--instance <name>", "which of several agents on this host (default: berth)"),
    )
    .addOption(new Option("--json", "print JSON for scripts"))
    .helpOption("-h, --help", "show this help")
    .optionsGroup("Options:");
}

function pickGlobal({ root, instance, json }: GlobalOptions): GlobalOptions {
  return {
    ...(root === undefined ? {} : { root }),
    ...(instance === undefined ? {} : { instance }),
    ...(json === undefined ? {} : { json }),
  };
}

/** Commander's usage errors in the form of all others; help that it prints to stderr stays as it is. */
function asSentence(text: string): string {
  if (!text.startsWith("error: ")) return text;
  const said = printable(text.slice("error: ".length)).trim();
  return `berth: ${said} ('berth --help' shows the verbs, 'berth VERB --help' the options)\n`;
}
