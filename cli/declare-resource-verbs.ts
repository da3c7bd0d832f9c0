/** What containers changed, and volumes and networks. */
import { Argument } from "commander";
import { type Declare, running } from "./verb.ts";

export function declareResourceVerbs(declare: Declare): void {
  declare(
    "diff <name>",
    "what a container has changed of its image: A added, C changed, D deleted",
    "berth diff shop/web",
  ).action(running(async (...given) => (await import("./verbs/resources.ts")).runDiff(...given)));
  declare("volume", "volumes: ls, inspect NAME…, rm NAME…", "berth volume ls")
    .addArgument(new Argument("<action>").choices(["ls", "inspect", "rm"]))
    .argument("[name...]")
    .action(
      running(async (...given) => (await import("./verbs/resources.ts")).runVolume(...given)),
    );
  declare("network", "networks: ls, inspect NAME…", "berth network ls")
    .addArgument(new Argument("<action>").choices(["ls", "inspect"]))
    .argument("[name...]")
    .action(
      running(async (...given) => (await import("./verbs/resources.ts")).runNetwork(...given)),
    );
}
