import { release } from "node:os";
import { berthVersion } from "../../agent/berth-version.ts";
import type { Context } from "../context.ts";
import { print, printJson } from "../terminal.ts";

export async function runVersion(context: Context): Promise<undefined> {
  const version = berthVersion;
  const node = process.version.slice(1);
  if (context.json) printJson({ version, node, kernel: release(), architecture: process.arch });
  else print(`berth ${version} (Node ${node}, Linux ${release()}, ${process.arch})`);
}
