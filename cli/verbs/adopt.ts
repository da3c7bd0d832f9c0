import type { Command } from "commander";
import type { AdoptReport } from "../../agent/control/run-control.ts";
import { call } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { print, printable, printJson, printNote } from "../terminal.ts";

/** The file on stdout; where it goes, what is left out and what it does not carry over on stderr. */
export async function runAdopt(context: Context, command: Command): Promise<undefined> {
  const [name] = command.args;
  if (name === undefined) {
    const names = await call<readonly string[]>(context, "GET /v1/by-hand");
    if (context.json) printJson(names);
    else for (const one of names) print(printable(one));
    return;
  }
  const { showSecrets = false } = command.opts<{ readonly showSecrets?: boolean }>();
  const report = await call<AdoptReport>(context, "POST /v1/adopt", { name, showSecrets });
  if (context.json) {
    printJson(report);
    return;
  }
  process.stdout.write(report.compose);
  printNote(`commit it as ${report.path}: ${report.container} goes on as it is`);
  for (const key of report.hidden) {
    const why = "looks like a secret and is left out: --show-secrets writes it, for git to have";
    printNote(
      `${key} ${why}; without its value the file is refused, and ${report.container} stays`,
    );
  }
  for (const note of report.notes) printNote(`not carried over: ${printable(note)}`);
}
