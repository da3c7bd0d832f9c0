import { berthVersion } from "../../agent/berth-version.ts";
import { ociVersion } from "../../runtime/oci/specification.ts";

/** The lines that callers of runtimes look for. */
export function versionText(): string {
  return `berth-oci version ${berthVersion}\nspec: ${ociVersion}\n`;
}
