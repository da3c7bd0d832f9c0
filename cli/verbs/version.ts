import { readFile } from "node:fs/promises";
import { release } from "node:os";
import type { Context } from "../context.ts";
import { print, printJson } from "../terminal.ts";

export async function runVersion(context: Context): Promise<undefined> {
  const file = new URL("../../package.json", import.meta.url);
  const { version } = JSON.parse(await readFile(file, "utf8")) as { version: string };
  const node = process.version.slice(1);
  if (context.json) printJson({ version, node, kernel: release(), architecture: process.arch });
  else print(`berth ${version} (Node ${node}, Linux ${release()}, ${process.arch})`);
}
