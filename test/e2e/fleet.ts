import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const identity = ["-c", "user.name=Fleet", "-c", "user.email=fleet@example.org"];

/** Path in the repository -> its new text; null takes the file away. */
export type Changes = Readonly<Record<string, string | null>>;

/** A git repository with a working tree. */
export class Fleet {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  /** With one empty app, so that the first commit is valid. */
  async init(): Promise<void> {
    mkdirSync(this.dir, { recursive: true });
    await this.git("init", "--quiet", "--initial-branch=main");
    await this.commit({ "empty/compose.yaml": "services: {}\n" });
  }

  /** Resolves to the new commit. */
  async commit(changes: Changes): Promise<string> {
    for (const [path, text] of Object.entries(changes)) {
      const file = join(this.dir, path);
      if (text === null) {
        rmSync(file, { force: true });
        continue;
      }
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    await this.git("add", "--all");
    await this.git(...identity, "commit", "--quiet", "--allow-empty", "--message", "Change");
    return (await this.git("rev-parse", "HEAD")).trim();
  }

  async git(...args: readonly string[]): Promise<string> {
    const { stdout } = await run("git", ["-C", this.dir, ...args]);
    return stdout;
  }
}
