/** `berth`: reads the command line, runs one verb, and turns what it throws into a sentence and an exit code. */
import { CommanderError } from "commander";
import { describeError } from "../agent/log.ts";
import { CliError } from "./cli-error.ts";
import { createProgram } from "./program.ts";
import { endOnBrokenPipe, printNote } from "./terminal.ts";

endOnBrokenPipe();
try {
  await createProgram().parseAsync();
} catch (error) {
  process.exitCode = describeFailure(error);
}

function describeFailure(error: unknown): number {
  // Commander has printed its own message; help and version end with 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  printNote(`berth: ${describeError(error)}`);
  if (!(error instanceof CliError) && process.env.BERTH_DEBUG !== undefined) console.error(error);
  return error instanceof CliError ? error.exitCode : 1;
}
