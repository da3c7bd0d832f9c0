import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { openGitMirror } from "../../agent/source/git-mirror.ts";
import type { CommitSha } from "../../manifests/desired-state.ts";

const run = promisify(execFile);

export type Place = {
  readonly root: string;
  readonly repo: string;
  readonly libDir: string;
  git(...args: readonly string[]): Promise<string>;
  /** git in another directory. */
  in(dir: string): (...args: readonly string[]) => Promise<string>;
  commit(message: string): Promise<CommitSha>;
};

/** Runs `work` with a repository and a place for its mirror, both gone afterwards. */
export async function withRepository(work: (place: Place) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "bt-agent-git-"));
  const repo = join(root, "repo");
  const libDir = join(root, "lib");
  mkdirSync(repo);
  mkdirSync(libDir);
  const env = {
    PATH: process.env.PATH,
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_AUTHOR_NAME: "a",
    GIT_AUTHOR_EMAIL: "a@example.org",
    GIT_COMMITTER_NAME: "a",
    GIT_COMMITTER_EMAIL: "a@example.org",
  };
  const inDir =
    (dir: string) =>
    async (...args: readonly string[]) =>
      (await run("git", ["-C", dir, ...args], { env })).stdout.trim();
  const git = inDir(repo);
  const head = async () => (await git("rev-parse", "HEAD")) as CommitSha;
  const commit = async (message: string) => {
    await git("add", "-A");
    await git("commit", "-qm", message);
    return head();
  };
  try {
    await git("init", "-q", "-b", "main");
    await work({ root, repo, libDir, git, in: inDir, commit });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

export function mirrorOf(
  place: Place,
  fields: { ref?: string; repo?: string; timeoutMs?: number } = {},
) {
  return openGitMirror({
    repo: fields.repo ?? place.repo,
    ref: fields.ref ?? "main",
    libDir: place.libDir,
    fetchTimeoutMs: fields.timeoutMs ?? 20_000,
  });
}

export const never = new AbortController().signal;
