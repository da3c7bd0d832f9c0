import { writeSync } from "node:fs";

/**
 * To stdout, without `process.stdout`: that would make the descriptor, which a container may share, non-blocking.
 * Returns 0, the exit code of having printed.
 */
export function print(text: string): number {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
  return 0;
}

export function printJson(value: unknown): number {
  return print(`${JSON.stringify(value, null, 2)}\n`);
}
