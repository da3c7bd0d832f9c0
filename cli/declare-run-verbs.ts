/** Containers that git does not have: run by hand, removed, and taken over by a commit. */
import { collectEnvironment, collectTexts } from "./arguments.ts";
import { type Declare, running } from "./verb.ts";

export function declareRunVerbs(declare: Declare): void {
  declare(
    "run <image> [command...]",
    "run a container by hand; no commit touches it until git takes it over",
    "berth run -d --name web -p 8080:80 nginx:1.27",
  )
    .option("-d, --detach", "print its name and leave it to itself")
    .option("--name <name>", "of its app and of itself (default: one that is made up)")
    .option("-p, --publish <port>", "[IP:]HOST:CONTAINER[/udp] (may be repeated)", collectTexts)
    .option("-v, --volume <mount>", "VOLUME:PATH[:ro], or a path of the host", collectTexts)
    .option("--tmpfs <path>", "PATH[:OPTIONS] in memory (may be repeated)", collectTexts)
    .option("-e, --env <key=value>", "set a variable (may be repeated)", collectEnvironment)
    .option("-l, --label <key=value>", "set a label (may be repeated)", collectEnvironment)
    .option("-u, --user <user>", "user, or user:group")
    .option("-w, --workdir <dir>", "directory to run in")
    .option("--hostname <name>", "its own name")
    .option("--entrypoint <program>", "in place of the image's")
    .option("--restart <policy>", "no, on-failure[:N], always or unless-stopped", "no")
    .option("-m, --memory <size>", "limit, such as 512m")
    .option("--cpus <number>", "limit, such as 0.5")
    .option("--pids-limit <number>", "limit of processes")
    .option("--read-only", "its root cannot be written")
    .option("--init", "a first process that reaps")
    .option("--cap-add <name>", "add a capability (may be repeated)", collectTexts)
    .option("--cap-drop <name>", "take a capability away (may be repeated)", collectTexts)
    .option("--network <name>", "a network that is there, host, or none (default: its own)")
    .option("--health-cmd <command>", "a shell command that ends with 0 while it is healthy")
    .option("--health-interval <duration>", "time between two of them")
    .option("--health-retries <number>", "failures in a row that make it unhealthy")
    .option("--stop-signal <signal>", "what ends it")
    .option("--pull <when>", "missing, always or never", "missing")
    .passThroughOptions()
    .action(running(async (...given) => (await import("./verbs/run.ts")).runRun(...given)));
  declare("rm <name...>", "remove a container that was run by hand", "berth rm -f web")
    .option("-f, --force", "also one that runs")
    .action(running(async (...given) => (await import("./verbs/run.ts")).runRm(...given)));
  declare(
    "adopt [name]",
    "the Compose file that takes over a container run by hand; without NAME: which there are",
    "berth adopt web > web/compose.yaml",
  )
    .option("--show-secrets", "write values of variables that look like secrets too")
    .action(running(async (...given) => (await import("./verbs/adopt.ts")).runAdopt(...given)));
}
