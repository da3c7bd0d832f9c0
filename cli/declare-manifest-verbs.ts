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
  declare(
    "convert <files...>",
    "a Compose file out of Quadlet files (.container, .volume, .network) or Kubernetes YAML",
    "berth convert web.container data.volume > compose.yaml",
  ).action(running(async (...given) => (await import("./verbs/convert.ts")).runConvert(...given)));
  declare(
    "secrets <action> [files...]",
    "encrypted files of a repository: keygen, encrypt, edit, rekey",
    "berth secrets encrypt shop/db-password",
  )
    .addHelpText("before", secretActions)
    .option(
      "-r, --recipient <recipient>",
      "to whom; repeatable (default: who berth.yaml names)",
      collect,
    )
    .option("-i, --identity <file>", "whose key decrypts (default: /etc/berth/identity.txt)")
    .option("--sops", "encrypt as a SOPS file, by the name's ending: YAML, JSON, dotenv or binary")
    .action(running(async (...given) => (await import("./verbs/secrets.ts")).runSecrets(...given)));
  addTreeOptions(
    config
      .option("--host <name>", "the host to look through the eyes of (default: this one)")
      .option("--app <name>", "print this app as `docker compose config --format json` does"),
  ).action(running(async (...given) => (await import("./verbs/validate.ts")).runConfig(...given)));
}

const secretActions = `
Actions:
  keygen [FILE]    make an identity for this host; its recipient is printed
  encrypt FILE…    FILE.age takes the place of FILE; with --sops FILE is encrypted in its place
  edit FILE…       change an encrypted file in VISUAL or EDITOR
  rekey PATH…      encrypt again, with new keys, to the recipients of today`;

function addTreeOptions(command: Command): Command {
  return command
    .option("--path <dir>", "directory of the tree below which apps lie", ".")
    .option("--policy <file>", "also check what this policy of a host allows")
    .option("--ref <ref>", "read this commit, branch or tag instead of the working tree");
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
