import { hostname } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import type { LoadedApp } from "../../manifests/compose/load-app.ts";
import type { CompileResult, Diagnostic } from "../../manifests/desired-state.ts";
import { CliError } from "../cli-error.ts";
import { compileTree, readsWorkingTree, type TreeOptions } from "../compile-tree.ts";
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

/**
 * The desired state as JSON, or one app as Compose prints it; nothing of a tree that has errors. Relative paths of an
 * app begin at its directory in the tree, or where a commit is read, at the repository's root.
 */
export async function runConfig(context: Context, command: Command): Promise<undefined> {
  const { app, host = hostname(), ...rest } = readOptions(command);
  const models = new Map<string, LoadedApp>();
  const onLoaded = (loaded: LoadedApp) => void models.set(loaded.app.name, loaded);
  const options = { ...rest, host, onLoaded };
  const result: CompileResult = await compileTree(options);
  if (!result.ok) {
    printDiagnostics(result.errors);
    throw new CliError(
      1,
      `cannot print what ${options.tree} describes because it has ${count(result.errors.length, "error")}: correct what is listed above`,
    );
  }
  printDiagnostics(result.warnings, "warning: ");
  const shown = app === undefined ? result.desired : await canonical(app, models, options);
  if (context.json) printJson(shown);
  else print(JSON.stringify(shown, null, 2));
}

async function canonical(
  name: string,
  models: ReadonlyMap<string, LoadedApp>,
  options: TreeOptions,
): Promise<unknown> {
  const found = models.get(name);
  if (found === undefined) {
    const known = [...models.keys()].sort().join(", ");
    const message = `cannot print ${name} because the host runs no app of that name: ${known === "" ? "it runs none" : `it runs ${known}`}`;
    throw new CliError(1, message);
  }
  const base = (await readsWorkingTree(options)) ? resolve(options.tree) : ".";
  return found.canonical(join(base, found.app.path));
}

function readOptions(command: Command): TreeOptions & { readonly app?: string } {
  return {
    ...command.opts<Omit<TreeOptions, "tree"> & { app?: string }>(),
    tree: command.args[0] ?? ".",
  };
}

function printDiagnostics(diagnostics: readonly Diagnostic[], prefix = ""): void {
  for (const { file, line, column, message } of diagnostics) {
    printNote(`${file}:${line}:${column}: ${prefix}${message}`);
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
