import { isUtf8 } from "node:buffer";
import type { Report } from "../diagnostics.ts";
import { formatPath, locate, type Path } from "../yaml/node.ts";
import { envFileBytesMax, parseDotenv } from "./dotenv.ts";
import { type AppFiles, readAppFile } from "./read-app-file.ts";
import type { FileModel } from "./read-file.ts";
import type { EnvFile } from "./run-model.ts";
import type { Lookup } from "./template.ts";

type Variables = ReadonlyMap<string, string>;

/** What the files that a service names hold; earlier ones give way to later ones. */
export type ServiceFiles = { readonly environment: Variables; readonly labels: Variables };

type FilesRequest = {
  readonly file: FileModel;
  readonly files: AppFiles;
  /** Variables of the app. */
  readonly lookup: Lookup;
  readonly report: Report;
};

/**
 * Reads `env_file` and `label_file` of every service. Variables in them are those of the app, then the service's
 * own environment, then those of earlier lines. Rejects only when the reader fails.
 */
export async function readServiceFiles(
  request: FilesRequest,
): Promise<ReadonlyMap<string, ServiceFiles>> {
  const found = new Map<string, ServiceFiles>();
  for (const [name, model] of request.file.services) {
    if (model === undefined) continue;
    const environment = new Map<string, string>();
    const labels = new Map<string, string>();
    const own: Lookup = (variable) =>
      request.lookup(variable) ?? model.environment?.get(variable) ?? undefined;
    for (const [index, wish] of (model.env_file ?? []).entries()) {
      const path = ["services", name, "env_file", index];
      await readVariables({ ...request, wish, path, into: environment, lookup: own });
    }
    for (const [index, label] of (model.label_file ?? []).entries()) {
      const path = ["services", name, "label_file", index];
      const wish = { path: label, required: true };
      await readVariables({ ...request, wish, path, into: labels, lookup: () => undefined });
    }
    found.set(name, { environment, labels });
  }
  return found;
}

async function readVariables({
  file,
  files,
  wish,
  path,
  into,
  lookup,
  report,
}: FilesRequest & {
  readonly wish: EnvFile;
  readonly path: Path;
  readonly into: Map<string, string>;
}): Promise<void> {
  const at = locate(file.root, path);
  const found = await readAppFile(files, wish.path, envFileBytesMax);
  if (found.kind === "refused") {
    const prefix = found.unsupported === true ? "not supported by berth: " : "";
    report.error(at, `${prefix}${formatPath(path)}: ${found.message}`);
    return;
  }
  if (found.kind === "absent") {
    const remedy = path.includes("env_file") ? "add it, or say required: false" : "add it";
    const message = `${formatPath(path)}: there is no file ${found.path} in the repository: ${remedy}`;
    if (wish.required) report.error(at, message);
    return;
  }
  const read = { file: found.path, bytes: found.bytes, report };
  const variables =
    wish.raw === true
      ? parseRaw({ ...read, lookup })
      : parseDotenv({ ...read, budget: files.budget, lookup, earlier: into });
  for (const [key, value] of variables) into.set(key, value);
}

/** `KEY=VALUE` lines without quotes, variables and escapes (format raw); `KEY` alone takes the variable's value. */
function parseRaw({
  file,
  bytes,
  lookup,
  report,
}: {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly lookup: Lookup;
  readonly report: Report;
}): Variables {
  const variables = new Map<string, string>();
  if (!isUtf8(bytes)) {
    report.error({ file, line: 1, column: 1 }, "the file is not UTF-8 text");
    return variables;
  }
  for (const [index, line] of new TextDecoder().decode(bytes).split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.trimStart().startsWith("#")) continue;
    const equals = line.indexOf("=");
    const key = line.slice(0, equals === -1 ? undefined : equals).trimStart();
    const value = equals === -1 ? lookup(key) : line.slice(equals + 1);
    if (key === "" || /\s/.test(key))
      report.error({ file, line: index + 1, column: 1 }, "KEY=VALUE is expected");
    else if (value !== undefined) variables.set(key, value);
  }
  return variables;
}
