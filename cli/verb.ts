/** How a verb is declared and how it is run. */
import { type Command, Option } from "commander";
import { type Context, createContext, type GlobalOptions } from "./context.ts";

/** A new verb; `example` ends its help. */
export type Declare = (nameAndArguments: string, summary: string, example: string) => Command;

/** Verbs are loaded when they run, so that each starts as fast as it can. Undefined is exit code 0. */
export type Verb = (context: Context, command: Command) => Promise<number | undefined>;

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

/** Every verb takes them too, so that they may stand before or after it. */
export function addGlobalOptions(command: Command): void {
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
