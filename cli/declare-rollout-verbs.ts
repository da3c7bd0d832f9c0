/** Rollouts: what was tried, and which revision an app is held at. */
import { type Declare, running } from "./verb.ts";

export function declareRolloutVerbs(declare: Declare): void {
  declare(
    "rollback <app>",
    "put an app back on an earlier revision until the ref moves",
    "berth rollback shop --to 4f2a91c",
  )
    .option("--to <sha>", "the revision (default: the last good one before)")
    .action(
      running(async (...given) => (await import("./verbs/rollouts.ts")).runRollback(...given)),
    );
  declare(
    "suspend [app]",
    "leave an app, or all of them, alone: no commit and no drift changes it",
    "berth suspend shop",
  ).action(running(async (...given) => (await import("./verbs/rollouts.ts")).runSuspend(...given)));
  declare(
    "resume [app]",
    "look after it again, and try again what was held back",
    "berth resume shop",
  ).action(running(async (...given) => (await import("./verbs/rollouts.ts")).runResume(...given)));
  declare(
    "history [name]",
    "rollouts and verdicts, newest first; for an image what each layer was made by",
    "berth history shop",
  ).action(running(async (...given) => (await import("./verbs/rollouts.ts")).runHistory(...given)));
  declare(
    "why <name>",
    "why a container was made or restarted, field by field",
    "berth why shop/web",
  ).action(running(async (...given) => (await import("./verbs/rollouts.ts")).runWhy(...given)));
}
