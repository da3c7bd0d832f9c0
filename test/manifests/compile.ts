import { compileRevision } from "../../manifests/compile-revision.ts";
import type { CommitSha, CompileResult, Service } from "../../manifests/desired-state.ts";
import { formatDiagnostic } from "../../manifests/diagnostics.ts";
import { service } from "../builders/desired-state.ts";
import { readTree } from "./read-tree.ts";

export const revision = "0123456789abcdef0123456789abcdef01234567" as CommitSha;

export function compile(
  files: Readonly<Record<string, string | Uint8Array>>,
  path = ".",
): Promise<CompileResult> {
  const abort = new AbortController().signal;
  return compileRevision({ revision, reader: readTree(files), host: "test", path, abort });
}

/** Every error as `file:line:column: message`; empty when the files compile. */
export async function errorsOf(
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<readonly string[]> {
  const result = await compile(files);
  return result.ok ? [] : result.errors.map(formatDiagnostic);
}

/** The only service of `web/compose.yaml`; fails with the errors when it does not compile. */
export async function serviceOf(yaml: string, env?: string): Promise<Service> {
  const files = { "web/compose.yaml": yaml, ...(env === undefined ? {} : { "web/.env": env }) };
  const result = await compile(files);
  if (!result.ok) throw new Error(result.errors.map(formatDiagnostic).join("\n"));
  const [service] = result.desired.apps[0]?.services ?? [];
  if (service === undefined) throw new Error("the app has no service");
  return service;
}

/** What a service looks like that names an image and nothing else. */
export function plainService(fields: Partial<Service> = {}): Service {
  return service("web", { image: "nginx", ...fields });
}
