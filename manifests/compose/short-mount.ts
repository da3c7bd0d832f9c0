import { quoteValue } from "../diagnostics.ts";
import { unsupported } from "./by-kind.ts";
import type { MountIssue, MountWish } from "./mount-wish.ts";

/**
 * `TARGET`, `SOURCE:TARGET` or `SOURCE:TARGET:OPTIONS`: what begins like a path is a bind
 * mount, the rest a volume.
 */
export function parseShortMount(text: string): MountWish | MountIssue {
  const parts = text.split(":");
  const [first = "", second, options, ...rest] = parts;
  if (parts.includes("") || rest.length > 0) return bad(text);
  if (second === undefined) return { type: "volume", target: first, readOnly: false, copy: true };
  const found = readOptions(options);
  if ("code" in found) return found;
  const { readOnly, copy } = found;
  if (!/^[./~]/.test(first))
    return { type: "volume", source: first, target: second, readOnly, copy };
  return { type: "bind", source: first, target: second, readOnly, createHostPath: true };
}

function readOptions(
  options: string | undefined,
): { readonly readOnly: boolean; readonly copy: boolean } | MountIssue {
  let readOnly = false;
  let copy = true;
  for (const option of options?.split(",") ?? []) {
    if (option === "ro" || option === "rw") readOnly = option === "ro";
    else if (option === "nocopy") copy = false;
    else if (otherOptions.has(option))
      return unsupported(`the option ${quoteValue(option)}: ro, rw and nocopy are there`);
    else return { code: "custom", message: `${quoteValue(option)} is not an option of a mount` };
  }
  return { readOnly, copy };
}

/** Propagation, SELinux labels and the consistency modes of Docker Desktop. */
const otherOptions = new Set([
  "cached",
  "consistent",
  "delegated",
  "private",
  "rprivate",
  "rshared",
  "rslave",
  "shared",
  "slave",
  "z",
  "Z",
]);

function bad(text: string): MountIssue {
  return {
    code: "custom",
    message: `${quoteValue(text)} is not a mount: [SOURCE:]TARGET[:ro] is expected`,
  };
}
