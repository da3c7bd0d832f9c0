/** Looking at containers and handling them. */
import type { Command } from "commander";
import {
  collectEnvironment,
  parseBytes,
  parseDurationMs,
  parseSinceMs,
  parseTail,
} from "./arguments.ts";
import { type Declare, running } from "./verb.ts";

export function declareContainerVerbs(declare: Declare): void {
  declare("ps", "containers", "berth ps -a")
    .option("-a, --all", "ended ones too")
    .option("-q, --quiet", "their ids alone")
    .action(running(async (...given) => (await import("./verbs/ps.ts")).runPs(...given)));
  declare(
    "inspect <name>",
    "everything known of a container, image, network or volume",
    "berth inspect shop-web-1",
  ).action(running(async (...given) => (await import("./verbs/inspect.ts")).runInspect(...given)));
  declare("logs <name>", "what a container wrote", "berth logs -f --tail 20 shop/web")
    .option("-f, --follow", "go on with what is written")
    .option("-n, --tail <lines>", "only the last lines, or all", parseTail)
    .option("--since <time>", "only since a time, or for the last duration", parseSinceMs)
    .option("-t, --timestamps", "begin each line with its time")
    .action(running(async (...given) => (await import("./verbs/logs.ts")).runLogs(...given)));
  declareExec(declare);
  declareCopy(declare);
  declareLooking(declare);
  declareByHand(declare);
  declare("stats [name...]", "live figures from cgroups", "berth stats --no-stream")
    .option("--no-stream", "one sample, then end")
    .option("--interval <duration>", "time between samples (default: 1s)", parseDurationMs)
    .action(running(async (...given) => (await import("./verbs/stats.ts")).runStats(...given)));
}

function declareExec(declare: Declare): void {
  declare("exec <name> <command...>", "run a command in a container", "berth exec -it shop/web sh")
    .option("-i, --interactive", "pass standard input on")
    .option("-t, --tty", "give the command a terminal; Ctrl-P Ctrl-Q leaves it running")
    .option("-d, --detach", "start it and leave it to itself")
    .option("-u, --user <user>", "user, or user:group, of the command")
    .option("-e, --env <key=value>", "set a variable (may be repeated)", collectEnvironment)
    .option("-w, --workdir <dir>", "directory to run in")
    .passThroughOptions()
    .action(running(async (...given) => (await import("./verbs/exec.ts")).runExec(...given)));
}

function declareByHand(declare: Declare): void {
  const stop = declare(
    "stop <name...>",
    "stop by hand: the agent leaves it stopped",
    "berth stop shop/web",
  );
  addGrace(stop).action(byHand("stop"));
  declare("start <name...>", "start what was stopped by hand", "berth start shop/web").action(
    byHand("start"),
  );
  const restart = declare("restart <name...>", "stop and start again", "berth restart shop/web");
  addGrace(restart).action(byHand("restart"));
  declare("kill <name...>", "send a signal", "berth kill -s SIGHUP shop/web")
    .option("-s, --signal <signal>", "name or number", "SIGKILL")
    .action(byHand("kill"));
  declare("pause <name...>", "hold every process of a container", "berth pause shop/web").action(
    byHand("pause"),
  );
  declare("unpause <name...>", "let them go on", "berth unpause shop/web").action(
    byHand("unpause"),
  );
}

function declareLooking(declare: Declare): void {
  declare("attach <name>", "the streams of a container's first process", "berth attach shop/web")
    .option("--no-stdin", "only look")
    .action(running(async (...given) => (await import("./verbs/attach.ts")).runAttach(...given)));
  declare("top <name>", "the processes of a container", "berth top shop/web").action(
    running(async (...given) => (await import("./verbs/top.ts")).runTop(...given)),
  );
  declare("port <name>", "where the host listens for a container", "berth port shop/web").action(
    running(async (...given) => (await import("./verbs/port.ts")).runPort(...given)),
  );
  declare("wait <name...>", "wait for the end, print the exit code", "berth wait shop/job").action(
    running(async (...given) => (await import("./verbs/wait.ts")).runWait(...given)),
  );
}

function declareCopy(declare: Declare): void {
  declare(
    "cp <source> <destination>",
    "copy files between a container and this host: one is NAME:PATH, - is a tar archive",
    "berth cp shop/web:/var/log/app.log .",
  )
    .option("-a, --archive", "keep owners; else they are root's, or yours")
    .option("-L, --follow-link", "copy what a symbolic link at SOURCE leads to")
    .option("--limit <size>", "end when there is more than this (default: 64g)", parseBytes)
    .action(running(async (...given) => (await import("./verbs/cp.ts")).runCp(...given)));
}

function byHand(
  action: "stop" | "start" | "restart" | "kill" | "pause" | "unpause",
): ReturnType<typeof running> {
  return running(async (...given) =>
    (await import("./verbs/by-hand.ts")).runByHand(action, ...given),
  );
}

function addGrace(command: Command): Command {
  const summary = "grace period before SIGKILL (default: the service's)";
  return command.option("-t, --time <duration>", summary, parseDurationMs);
}
