/** Questions to manifests that need no agent. */
import type { Command } from "commander";
import { type Declare, running } from "./verb.ts";

export function declareManifestVerbs(declare: Declare): void {
  const validate = declare(
    "validate <tree>",
    "check a working tree or a bare repository; every error with its place",
    "berth validate .",
  );
  addTreeOptions(validate.option("--host <name>", "check this host only (default: all)")).action(
    running(async (...given) => (await import("./verbs/validate.ts")).runValidate(...given)),
  );
  const config = declare(
    "config <tree>",
    "print what a host would run, as JSON",
    "berth config . --host web1",
  );
  addTreeOptions(
    config.option("--host <name>", "the host to look through the eyes of (default: this one)"),
  ).action(running(async (...given) => (await import("./verbs/validate.ts")).runConfig(...given)));
}

function addTreeOptions(command: Command): Command {
  return command
    .option("--path <dir>", "directory of the tree below which apps lie", ".")
    .option("--policy <file>", "also check what this policy of a host allows")
    .option("--ref <ref>", "read this commit, branch or tag instead of the working tree");
}
