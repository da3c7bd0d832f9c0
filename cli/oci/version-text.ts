import { readFileSync } from "node:fs";
import { ociVersion } from "../../runtime/oci/specification.ts";

/** Of the package. */
export function berthVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return /"version": "([^"]+)"/.exec(text)?.[1] ?? "0.0.0";
}

/** The lines that callers of runtimes look for. */
export function versionText(): string {
  return `berth-oci version ${berthVersion()}\nspec: ${ociVersion}\n`;
}
