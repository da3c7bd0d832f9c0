import { readFile } from "node:fs/promises";

const secretBytesMax = 65_536;

/** The first line of a file that holds a secret. Errors name the file and nothing of it. */
export async function readSecret(path: string): Promise<string> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw new Error(`cannot read the secret in ${path} (${cause.code ?? "unknown error"})`);
  });
  const [line = ""] = bytes.subarray(0, secretBytesMax).toString("utf8").split("\n", 1);
  if (line.trim() === "") throw new Error(`cannot use the secret in ${path} because it is empty`);
  return line.trim();
}
