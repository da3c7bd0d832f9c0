/** Containers that git does not have: run by hand, removed, and taken over by a commit. */
import { Option } from "commander";
import { collectStreams, parseRunName } from "./arguments.ts";
import { declareRunOptions } from "./declare-run-options.ts";
import { type Declare, running } from "./verb.ts";

export function declareRunVerbs(declare: Declare): void {
  const run = declare(
    "run <image> [command...]",
    "run a container by hand; no commit touches it until git takes it over",
    "berth run -it --rm alpine:3.22 sh",
  )
    .option("-d, --detach", "print its name and leave it to itself")
    .option("--rm", "remove it, and its volumes without a name, once it has ended")
    .option(
      "--name <name>",
      "of its app and of itself (default: one that is made up)",
      parseRunName,
    )
    .option("--cidfile <file>", "write its id to a file, which must not be there")
    .option(
      "-a, --attach <stream>",
      "stdin, stdout or stderr alone (may be repeated)",
      collectStreams,
    )
    .option("--restart <policy>", "no, on-failure[:N], always or unless-stopped", "no")
    .addOption(
      new Option("--pull <when>", "whether its image is asked for again")
        .choices(["missing", "always", "never"])
        .default("missing"),
    );
  declareRunOptions(run)
    .passThroughOptions()
    .action(running(async (...given) => (await import("./verbs/run.ts")).runRun(...given)));
  declare("rm <name...>", "remove a container that was run by hand", "berth rm -f web")
    .option("-f, --force", "also one that runs")
    .option("-v, --volumes", "also its volumes without a name")
    .action(running(async (...given) => (await import("./verbs/run.ts")).runRm(...given)));
  declare(
    "adopt [name]",
    "the Compose file that takes over a container run by hand; without NAME: which there are",
    "berth adopt web > web/compose.yaml",
  )
    .option("--show-secrets", "write values of variables that look like secrets too")
    .action(running(async (...given) => (await import("./verbs/adopt.ts")).runAdopt(...given)));
}
