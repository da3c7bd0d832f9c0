import { hostname } from "node:os";
import type { Command } from "commander";
import type { CompileResult, Diagnostic } from "../../manifests/desired-state.ts";
import { CliError } from "../cli-error.ts";
import { compileTree, type TreeOptions } from "../compile-tree.ts";
import type { Context } from "../context.ts";
import { print, printJson, printNote } from "../terminal.ts";

/** Of every host, or one. 0: valid; 1: every error is on stderr as `file:line:column: message`. */
export async function runValidate(context: Context, command: Command): Promise<number> {
  const result = await compileTree(readOptions(command));
  if (context.json) {
    const warnings = result.ok ? result.warnings : [];
    const errors = result.ok ? [] : result.errors;
    printJson({ ok: result.ok, hosts: result.hosts, errors, warnings });
    return result.ok ? 0 : 1;
  }
  if (!result.ok) {
    printDiagnostics(result.errors);
    return 1;
  }
  printDiagnostics(result.warnings, "warning: ");
  const services = result.desired.apps.reduce((sum, app) => sum + app.services.length, 0);
  const hosts = result.hosts.length === 0 ? "" : `, ${count(result.hosts.length, "host")}`;
  print(
    `valid: ${count(result.desired.apps.length, "app")}, ${count(services, "service")}${hosts}`,
  );
  return 0;
}

/** The desired state as JSON; nothing of a tree that has errors. */
export async function runConfig(context: Context, command: Command): Promise<undefined> {
  const { host = hostname(), ...rest } = readOptions(command);
  const options = { ...rest, host };
  const result: CompileResult = await compileTree(options);
  if (!result.ok) {
    printDiagnostics(result.errors);
    throw new CliError(
      1,
      `cannot print what ${options.tree} describes because it has ${count(result.errors.length, "error")}: correct what is listed above`,
    );
  }
  printDiagnostics(result.warnings, "warning: ");
  if (context.json) printJson(result.desired);
  else print(JSON.stringify(result.desired, null, 2));
}

function readOptions(command: Command): TreeOptions {
  return { ...command.opts<Omit<TreeOptions, "tree">>(), tree: command.args[0] ?? "." };
}

function printDiagnostics(diagnostics: readonly Diagnostic[], prefix = ""): void {
  for (const { file, line, column, message } of diagnostics) {
    printNote(`${file}:${line}:${column}: ${prefix}${message}`);
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
