import { rmSync } from "node:fs";
import { type SimpleGit, simpleGit } from "simple-git";
import type { CommitSha } from "../../manifests/desired-state.ts";
import type { CommitSummary } from "../store/deploy-record.ts";
import { type CommitReader, openCommitReader } from "./commit-reader.ts";
import { isCommitTooLarge, readCommitTree } from "./commit-tree.ts";
import {
  type GitTransport,
  gitVariables,
  mirrorFormat,
  type ObjectFormat,
  prepareGitPlace,
} from "./git-environment.ts";
import { maintainMirror } from "./mirror-upkeep.ts";
import { checkRefName, parseSourceUrl, type SourceUrl } from "./source-url.ts";
import { type CommitTrust, noCommitTrust, readCommit } from "./trust/distrust.ts";
import { noTrustMemory, TrustedHistory, type TrustMemory } from "./trust/trusted-history.ts";

/** Where commits come from. Implemented by a git mirror; a simulation hands in its own. */
export type RevisionSource = {
  readonly displayUrl: string;
  readonly ref: string;
  /** Asks the source which commit the ref names now and brings it here. Errors mean: not reachable, or refused. */
  fetch(abort: AbortSignal): Promise<CommitSha>;
  /**
   * Files of the commit that was fetched last. The caller closes it. Rejects with an error that `isCommitTooLarge`
   * knows when the commit has too many files: at once when that was found out before.
   */
  open(revision: CommitSha, abort: AbortSignal): Promise<CommitReader>;
  /**
   * Why the commit that was fetched last must not be followed: its signature, or a history that was rewritten
   * (unless the operator allows it this once). Undefined when it may, and then it counts as trusted.
   */
  distrust(
    revision: CommitSha,
    options: { readonly allowRewrite: boolean },
    abort: AbortSignal,
  ): Promise<string | undefined>;
  /** Who made the commit, and its first line. */
  describe(revision: CommitSha, abort: AbortSignal): Promise<CommitSummary>;
  /** Repacks what has piled up, when it is time. Runs once at a time, and fetches wait for it. */
  maintain(abort: AbortSignal): Promise<void>;
};

export type GitMirrorOptions = {
  readonly repo: string;
  readonly ref: string;
  readonly libDir: string;
  /** A fetch that takes longer is ended, with every process it started. */
  readonly fetchTimeoutMs: number;
  readonly transport?: GitTransport | undefined;
  /** Without it any commit is followed that contains the one before. */
  readonly trust?: CommitTrust | undefined;
  /** Without it nothing is known of what was trusted before. */
  readonly trustMemory?: TrustMemory | undefined;
};

const wantedRef = "refs/berth/wanted";

/** A bare mirror of one ref in `libDir/source.git`: no checkout, no hooks, no submodules, no filters. */
export function openGitMirror(options: GitMirrorOptions): RevisionSource & {
  readonly localPath: string | undefined;
} {
  const source = parseSourceUrl(options.repo);
  const ref = checkRefName(options.ref);
  const { libDir, transport, trust = noCommitTrust, trustMemory = noTrustMemory } = options;
  const history = new TrustedHistory(trust, `${source.displayUrl} ${ref}`, trustMemory);
  const makePlace = (objectFormat: ObjectFormat) =>
    prepareGitPlace({ libDir, source, objectFormat, transport });
  let place = makePlace(mirrorFormat(libDir));
  let refused: { readonly revision: CommitSha; readonly error: Error } | undefined;
  let fetching: Promise<unknown> = Promise.resolve();
  let maintaining: Promise<void> | undefined;
  const git = (abort: AbortSignal) =>
    createGit({ ...place, timeoutMs: options.fetchTimeoutMs, abort });

  const fetchOnce = async (abort: AbortSignal): Promise<CommitSha> => {
    await git(abort).raw(fetchArguments(source, ref));
    const sha = await git(abort).raw(["rev-parse", "--verify", "-q", `${wantedRef}^{commit}`]);
    return asCommitSha(sha.trim());
  };

  const fetchNow = async (abort: AbortSignal): Promise<CommitSha> => {
    await maintaining?.catch(() => {});
    try {
      return await fetchOnce(abort);
    } catch (error) {
      if (!/mismatched algorithms/.test(String(error))) throw fetchError(source, ref, error);
    }
    // The other side hashes differently; a mirror has one object format for its whole life.
    const other = mirrorFormat(libDir) === "sha1" ? "sha256" : "sha1";
    rmSync(place.gitDir, { recursive: true, force: true });
    place = makePlace(other);
    return fetchOnce(abort).catch((error: unknown) => {
      throw fetchError(source, ref, error);
    });
  };

  return {
    displayUrl: source.displayUrl,
    ref,
    localPath: source.localPath,
    fetch(abort) {
      const fetched = fetchNow(abort);
      fetching = fetched.catch(() => {});
      return fetched;
    },
    async open(revision, abort) {
      if (refused?.revision === revision) throw refused.error;
      try {
        return openCommitReader({
          ...place,
          tree: await readCommitTree(place, revision, abort),
          abort,
        });
      } catch (error) {
        if (isCommitTooLarge(error)) refused = { revision, error };
        throw error;
      }
    },
    distrust: (revision, wish, abort) => history.distrust(place, revision, wish, abort),
    describe: (revision, abort) => readCommit(place, revision, abort),
    maintain(abort) {
      maintaining ??= fetching
        .then(() => maintainMirror(place, abort))
        .finally(() => {
          maintaining = undefined;
        });
      return maintaining;
    },
  };
}

function fetchArguments(source: SourceUrl, ref: string): string[] {
  return [
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--force",
    source.fetchUrl,
    `+${ref}:${wantedRef}`,
  ];
}

/**
 * git under coreutils' timeout(1): it makes a process group of its own and passes the signal that simple-git sends
 * on abort (SIGINT), or its own after the limit, to the whole group. Killing git alone would leave ssh or
 * git-remote-https holding the pipes. timeout(1) waits for git alone, so the shell around it ends what of the group is
 * left when git has ended. A signal interrupts its `wait`, hence the loop.
 */
function inOwnGroup(seconds: number): string {
  return [
    `timeout --kill-after=2 ${seconds} git "$@" & group=$!`,
    'trap "kill -TERM $group" HUP INT TERM',
    "while wait $group; status=$?; kill -0 $group 2>/dev/null; do :; done",
    "kill -KILL -$group 2>/dev/null",
    "exit $status",
  ].join("; ");
}

function createGit(options: {
  readonly gitDir: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly abort: AbortSignal;
}): SimpleGit {
  const seconds = Math.max(1, Math.ceil(options.timeoutMs / 1000));
  return simpleGit({
    baseDir: options.gitDir,
    binary: ["/usr/bin/env", `--split-string=sh -c '${inOwnGroup(seconds)}' sh`],
    abort: options.abort,
    completion: { onClose: true, onExit: 100 },
    allowEnvironment: [...gitVariables],
    unsafe: { allowUnsafeCustomBinary: true, allowUnsafeConfigPaths: true },
    trimmed: false,
  }).env({ ...options.environment });
}

function asCommitSha(text: string): CommitSha {
  if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(text)) {
    throw new Error(`cannot read the fetched commit because git answered ${JSON.stringify(text)}`);
  }
  // The check above is what the brand stands for.
  return text as CommitSha;
}

function fetchError(source: SourceUrl, ref: string, error: unknown): Error {
  const text = error instanceof Error ? error.message : String(error);
  const reason = text
    .split("\n")
    .map((line) =>
      line
        .replace(/^(fatal|error): /, "")
        .trim()
        .replace(/\.$/, ""),
    )
    .filter((line) => line !== "")
    .slice(0, 3)
    .join("; ")
    .slice(0, 500);
  // Without the cause: whoever prints it too would tell git's words twice.
  return new Error(
    `cannot fetch ${ref} from ${source.displayUrl} because ${reason === "" ? "git was ended (time limit)" : reason}`,
  );
}
