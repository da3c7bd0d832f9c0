import { createHash } from "node:crypto";
import type { CommitSha } from "../../../manifests/desired-state.ts";
import type { GitPlace } from "../git-environment.ts";
import { type CommitTrust, distrust, keepCommit } from "./distrust.ts";

/**
 * Remembers the last trusted commit of each source, outside of the mirror: a server can have that made anew, and must
 * not be able to have it forgotten.
 */
export type TrustMemory = {
  read(source: string): string | undefined;
  write(source: string, revision: string): void;
};

/** For who looks once and remembers nothing. */
export const noTrustMemory: TrustMemory = { read: () => undefined, write: () => undefined };

/** What was trusted of one source so far. */
export class TrustedHistory {
  readonly #trust: CommitTrust;
  readonly #memory: TrustMemory;
  readonly #key: string;

  /** `source` names the repository and its ref. */
  constructor(trust: CommitTrust, source: string, memory: TrustMemory) {
    this.#trust = trust;
    this.#memory = memory;
    // Stricter rules do not build on what was trusted under others.
    const lineage = `${source} ${trust.signed}`;
    this.#key = createHash("sha256").update(lineage).digest("hex").slice(0, 16);
  }

  /** See `RevisionSource.distrust`. */
  async distrust(
    place: GitPlace,
    revision: CommitSha,
    { allowRewrite }: { readonly allowRewrite: boolean },
    abort: AbortSignal,
  ): Promise<string | undefined> {
    const trust = this.#trust;
    const trusted = this.#memory.read(this.#key);
    if (trusted === revision && trust.signed === "none") return undefined;
    const reason = await distrust({ place, revision, trust, trusted, allowRewrite, abort });
    if (reason !== undefined) return reason;
    await keepCommit(place, { revision, name: this.#key }, abort);
    this.#memory.write(this.#key, revision);
    return undefined;
  }
}
