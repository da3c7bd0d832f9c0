import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import type { ExecutionContext } from "ava";

export type Terminal = {
  type(text: string): void;
  seen(): string;
  /** All that was seen so far, once it matches; fails after ten seconds. */
  shows(pattern: RegExp): Promise<string>;
  readonly code: Promise<number | null>;
};

/** A shell command on a terminal of its own, made by script(1). */
export function openTerminal(t: ExecutionContext, command: string): Terminal {
  const child: ChildProcessWithoutNullStreams = spawn(
    "/usr/bin/script",
    ["-qefc", command, "/dev/null"],
    {
      env: { PATH: process.env.PATH, TERM: "xterm", SHELL: "/bin/sh" },
    },
  );
  t.teardown(() => child.kill("SIGKILL"));
  let seen = "";
  child.stdout.on("data", (chunk: Buffer) => {
    seen += chunk.toString("utf8");
  });
  const code = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return {
    type: (text) => child.stdin.write(text),
    seen: () => seen,
    code,
    async shows(pattern) {
      for (let tries = 0; tries < 200; tries += 1) {
        if (pattern.test(seen)) return seen;
        await pause(50);
      }
      throw new Error(`the terminal never showed ${pattern}: ${JSON.stringify(seen)}`);
    },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
