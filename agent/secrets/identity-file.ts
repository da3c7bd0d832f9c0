import { open } from "node:fs/promises";
import type { Identities } from "../../manifests/secrets/age.ts";

const bytesMax = 65_536;

/**
 * age identities of a file, one a line, `#` for comments. Empty where there is no such file. Rejects a file that
 * others than its owner may read, and one without an identity; no message holds a key.
 */
export async function readIdentities(path: string): Promise<Identities> {
  const handle = await open(path, "r").catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  });
  if (handle === undefined) return [];
  try {
    const { mode, size } = await handle.stat();
    if ((mode & 0o077) !== 0) {
      throw new Error(
        `cannot use the identity file ${path} because others may read it: chmod 600 mends that`,
      );
    }
    if (size > bytesMax)
      throw new Error(`cannot use the identity file ${path} because it is larger than 64 KiB`);
    const lines = (await handle.readFile("utf8")).split("\n").map((line) => line.trim());
    const identities = lines.filter((line) => line !== "" && !line.startsWith("#"));
    const isIdentity = (line: string) => /^AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]+$/.test(line);
    if (identities.length > 0 && identities.every(isIdentity)) return identities;
    throw new Error(
      `cannot use the identity file ${path} because a line of it is no age identity: AGE-SECRET-KEY-1… is expected, \`berth secrets keygen\` makes one`,
    );
  } finally {
    await handle.close();
  }
}
