/** The agent itself, what it does and what it knows. */
import { parseDurationMs } from "./arguments.ts";
import { type Declare, running } from "./verb.ts";

export function declareInstanceVerbs(declare: Declare): void {
  declare(
    "agent",
    "run the agent in the foreground",
    "berth agent --repo https://git.example/fleet.git --ref main",
  )
    .option("--repo <url-or-path>", "git repository to follow")
    .option("--ref <ref>", "branch or tag to follow (default: main)")
    .option("--path <dir>", "directory of the repository below which apps lie (default: .)")
    .option("--host <name>", "name of this host (default: its hostname)")
    .option("--interval <duration>", "how often to fetch, or a cron expression (default: 30s)")
    .option(
      "--listen <address>",
      "where to serve metrics and readiness, or none (default: 127.0.0.1:9477)",
    )
    .option("--policy <file>", "what manifests may ask for (default: /etc/berth/policy.yaml)")
    .option("--config <file>", "configuration file; options win over it")
    .action(running(async (...given) => (await import("./verbs/agent.ts")).runAgentVerb(...given)));
  declare(
    "plan",
    "what the agent would do now, and why (exit code 3: something)",
    "berth plan",
  ).action(running(async (context) => (await import("./verbs/plan.ts")).runPlan(context)));
  declare("sync", "fetch now, reconcile, wait for the verdict", "berth sync --timeout 2m")
    .option(
      "--timeout <duration>",
      "how long to wait for the verdict (default: 60s)",
      parseDurationMs,
    )
    .option("--allow-rewrite", "follow a ref that was rewound or rewritten, this once")
    .action(running(async (...given) => (await import("./verbs/sync.ts")).runSync(...given)));
  declare(
    "status",
    "wanted and running revision, and every app's state",
    "berth status --json",
  ).action(running(async (context) => (await import("./verbs/status.ts")).runStatus(context)));
  declare("events", "what happened, oldest first", "berth events -f")
    .option("-f, --follow", "go on with what happens")
    .action(running(async (...given) => (await import("./verbs/events.ts")).runEvents(...given)));
  declare(
    "doctor",
    "what this host can and cannot do, with the fix for each",
    "berth doctor",
  ).action(running(async (context) => (await import("./verbs/doctor.ts")).runDoctor(context)));
  declare("down", "stop and remove everything the instance owns", "berth down --volumes")
    .option("--volumes", "remove the volumes and their data too")
    .option(
      "--strays",
      "kill what runs under the instance's name and belongs to another data directory, too",
    )
    .action(running(async (...given) => (await import("./verbs/down.ts")).runDown(...given)));
  declare("version", "version of berth and of what it runs on", "berth version --json").action(
    running(async (context) => (await import("./verbs/version.ts")).runVersion(context)),
  );
}
