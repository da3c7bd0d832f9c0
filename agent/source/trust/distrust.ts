import type { CommitSha } from "../../../manifests/desired-state.ts";
import type { GitPlace } from "../git-environment.ts";
import { runGit } from "../git-process.ts";
import { type CommitObject, parseCommit } from "./commit-object.ts";
import { type TrustedKeys, verifySignature } from "./verify-signature.ts";

export type CommitTrust = TrustedKeys & {
  /** Which commits must be signed: the newest, or each since the last one that was trusted. */
  readonly signed: "none" | "tip" | "all";
  /** A ref that moves backwards or sideways is followed. */
  readonly allowRewrites: boolean;
};

export const noCommitTrust: CommitTrust = { signed: "none", allowRewrites: false };

type Question = {
  readonly place: GitPlace;
  readonly revision: CommitSha;
  readonly trust: CommitTrust;
  /** The last trusted commit of this source; undefined for the first one. */
  readonly trusted: string | undefined;
  /** The operator says that this once the ref may move anywhere. */
  readonly allowRewrite: boolean;
  readonly abort: AbortSignal;
};

const commitsMax = 1_000;
const commitBytesMax = 1_048_576;
const timeLimitSeconds = 30;

/** Why the fetched commit must not be followed; undefined when it may. */
export async function distrust(question: Question): Promise<string | undefined> {
  const { revision, trust, trusted, allowRewrite } = question;
  const isForward = trusted === undefined || (await contains(question, trusted));
  if (!isForward && !trust.allowRewrites && !allowRewrite) {
    return (
      `commit ${short(revision)} does not contain ${short(trusted)}, which was followed before: the history was ` +
      "rewound or rewritten. `berth sync --allow-rewrite` follows it this once, `commits.allowRewrites: true` always"
    );
  }
  return unsigned(question, isForward ? trusted : undefined);
}

/** From now on no repack prunes this commit. */
export async function keepCommit(
  place: GitPlace,
  { revision, name }: { readonly revision: CommitSha; readonly name: string },
  abort: AbortSignal,
): Promise<void> {
  await text(place, ["update-ref", `refs/berth/trusted/${name}`, revision], abort);
}

/** Author, subject and signature of a commit that is here. */
export async function readCommit(
  place: GitPlace,
  revision: string,
  abort: AbortSignal,
): Promise<CommitObject> {
  const bytes = await output(place, ["cat-file", "commit", revision], abort);
  return parseCommit(bytes, revision.length === 64 ? "gpgsig-sha256" : "gpgsig");
}

async function unsigned(
  { place, revision, trust, abort }: Question,
  trusted: string | undefined,
): Promise<string | undefined> {
  if (trust.signed === "none") return undefined;
  const range =
    trust.signed === "all" && trusted !== undefined ? [`^${trusted}`] : ["--max-count=1"];
  const listed = await text(place, ["rev-list", ...range, revision, "--"], abort);
  const commits = listed.split("\n").filter((line) => line !== "");
  if (commits.length > commitsMax) {
    return `commit ${short(revision)} brings ${commits.length} commits at once: at most ${commitsMax} are verified together, move the ref in smaller steps`;
  }
  for (const sha of commits) {
    const commit = await readCommit(place, sha, abort);
    const reason = await verifySignature(commit, trust, abort);
    if (reason !== undefined)
      return `commit ${short(sha)} by ${commit.author} is not trusted: ${reason}`;
  }
  return undefined;
}

async function contains({ place, revision, abort }: Question, trusted: string): Promise<boolean> {
  const known = await text(place, ["cat-file", "-t", trusted], abort).catch(() => undefined);
  // A mirror that was made anew holds only what the server hands out now.
  if (known !== "commit") return false;
  // Counts what the trusted commit reaches and the new one does not: nothing, when it is contained.
  const range = ["--count", "--max-count=1", trusted, `^${revision}`, "--"];
  return (await text(place, ["rev-list", ...range], abort)) === "0";
}

async function text(place: GitPlace, args: readonly string[], abort: AbortSignal): Promise<string> {
  return (await output(place, args, abort)).toString("utf8").trim();
}

async function output(
  place: GitPlace,
  args: readonly string[],
  abort: AbortSignal,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const outcome = await runGit({
    ...place,
    args,
    timeLimitSeconds,
    abort,
    take(chunk) {
      chunks.push(chunk);
      bytes += chunk.length;
      return bytes <= commitBytesMax;
    },
  });
  if (outcome === "done") return Buffer.concat(chunks);
  const limit = outcome === "late" ? `${timeLimitSeconds} s` : `${commitBytesMax} bytes`;
  throw new Error(`cannot run git ${args[0] ?? ""} because it takes more than ${limit}`);
}

function short(sha: string): string {
  return sha.slice(0, 12);
}
