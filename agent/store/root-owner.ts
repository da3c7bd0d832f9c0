import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * A data directory belongs to the instance that first used it: another name would look for its cgroups, bridges and tables
 * in vain, and take down what it does not own. Throws when the directory is another's.
 */
export function claimRoot(libDir: string, instance: string): void {
  mkdirSync(libDir, { recursive: true, mode: 0o700 });
  const file = join(libDir, "instance");
  const owner = readOwner(file);
  if (owner === undefined) writeFileSync(file, `${instance}\n`, { mode: 0o600 });
  else if (owner !== instance) throw otherInstance(libDir, { asked: instance, owner });
}

/** The same question about an agent that answers. */
export function checkInstance(asked: string, owner: string, where: string): void {
  if (asked !== owner) throw otherInstance(where, { asked, owner });
}

function otherInstance(
  where: string,
  names: { readonly asked: string; readonly owner: string },
): Error {
  return new Error(
    `cannot use ${where} as instance ${names.asked} because it belongs to instance ${names.owner}: say --instance ${names.owner}, or another --root`,
  );
}

function readOwner(file: string): string | undefined {
  try {
    const text = readFileSync(file, "utf8").trim();
    return text === "" ? undefined : text;
  } catch {
    return undefined;
  }
}
