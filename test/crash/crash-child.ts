/**
 * The real agent in a process of its own, which kills itself (SIGKILL) at a moment that its parent names: at a boundary
 * of a step, or right before or after a write to a database, a request to the helper or a rename, and some time later.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { DatabaseSync, StatementSync } from "node:sqlite";
import type { StepKind } from "../../agent/plan/step.ts";
import { runAgent } from "../../agent/run-agent.ts";
import { Launcher } from "../../runtime/helper/launcher.ts";
import type { ChildOptions, Kill, Passed, Said } from "./crash-plan.ts";

const options = JSON.parse(process.argv[2] ?? "") as ChildOptions;
let kill: Kill | null = options.kill;
let timer: NodeJS.Timeout | undefined;
let seen = nothing();

process.on("message", (said: Said) => {
  if (said !== "count") {
    kill = typeof said === "string" ? null : said;
    clearTimeout(timer);
  }
  if (said === "count" || said === "disarm") {
    process.send?.(passed());
    return;
  }
  seen = nothing();
  process.send?.("armed");
});

for (const [prototype, names] of [
  [DatabaseSync.prototype, ["exec"]],
  [StatementSync.prototype, ["run"]],
  [Launcher.prototype, ["start", "run", "removeTree", "unpack"]],
] as const) {
  for (const name of names) surround(prototype, name);
}
surround(fs, "renameSync");
syncBuiltinESMExports();

const ended = new AbortController();
process.on("SIGTERM", () => ended.abort());
const { root, instance, repo, configFile } = options;
await runAgent(
  {
    libDir: `${root}/lib`,
    runDir: `${root}/run`,
    instance,
    repo,
    configFile,
    interval: "1h",
    listen: "none",
  },
  ended.signal,
  {
    trace: (moment, { step }) => {
      seen.steps.add(step.kind);
      // A step is due when the one before it is settled: nothing was written in between.
      if (moment !== "due" || seen.boundaries === 0) pass("boundaries");
    },
  },
);
process.send?.(passed());
process.disconnect?.();

function nothing() {
  return { boundaries: 0, instants: 0, earlyInstants: 0, steps: new Set<StepKind>() };
}

function passed(): Passed {
  return { ...seen, steps: [...seen.steps] };
}

function surround(prototype: object, name: string): void {
  const original: unknown = Reflect.get(prototype, name);
  if (typeof original !== "function") throw new Error(`cannot surround ${name}: no such method`);
  Reflect.set(prototype, name, function (this: unknown, ...given: unknown[]) {
    passInstant();
    const result: unknown = Reflect.apply(original, this, given);
    passInstant();
    return result;
  });
}

function passInstant(): void {
  pass("instants");
  if (seen.boundaries === 0) pass("earlyInstants");
}

function pass(kind: Kill["kind"]): void {
  const number = seen[kind]++;
  if (kill === null || kill.kind !== kind || kill.at !== number) return;
  if (kill.delayMs === 0) process.kill(process.pid, "SIGKILL");
  timer = setTimeout(() => process.kill(process.pid, "SIGKILL"), kill.delayMs);
}
