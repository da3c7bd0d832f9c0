/** `berth`: reads the command line, runs one verb, and turns what it throws into a sentence and an exit code. */
import { CommanderError } from "commander";
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
  printNote(`berth: ${sayAll(error)}`);
  if (!(error instanceof CliError) && process.env.BERTH_DEBUG !== undefined) console.error(error);
  return error instanceof CliError ? error.exitCode : 1;
}

/** The message and those of its causes, each said once. */
function sayAll(error: unknown): string {
  const said: string[] = [];
  let current = error;
  while (current instanceof Error && said.length < 5) {
    const { message } = current;
    if (!said.some((earlier) => earlier.includes(message))) said.push(message);
    current = current.cause;
  }
  return said.length === 0 ? String(error) : said.join(": ");
}
