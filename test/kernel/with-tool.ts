import { execFileSync } from "node:child_process";
import type { ExecutionContext } from "ava";

/** False, and noted in the log, where a program that a test compares with is missing; MUST_WORK=1 forbids that. */
export function hasTool(t: ExecutionContext, name: string): boolean {
  try {
    execFileSync("/bin/sh", ["-c", 'command -v "$1"', "sh", name], { stdio: "ignore" });
    return true;
  } catch {
    if (process.env.MUST_WORK === "1") t.fail(`${name} is missing: bin/setup --tests installs it`);
    else t.pass(`skipped, ${name} is missing`);
    t.log(`${name} is missing`);
    return false;
  }
}
