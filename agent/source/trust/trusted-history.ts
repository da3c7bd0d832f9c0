import type { CommitSha } from "../../../manifests/desired-state.ts";
import type { GitPlace } from "../git-environment.ts";
import { type CommitTrust, distrust, lastTrusted, noteTrusted } from "./distrust.ts";

/** What was trusted of one source so far. */
export class TrustedHistory {
  readonly #trust: CommitTrust;
  readonly #lineage: string;
  #last: { readonly revision: string | undefined } | undefined;

  /** `source` names the repository and its ref. */
  constructor(trust: CommitTrust, source: string) {
    this.#trust = trust;
    // Stricter rules do not build on what was trusted under others.
    this.#lineage = `${source} ${trust.signed}`;
  }

  /** See `RevisionSource.distrust`. */
  async distrust(
    place: GitPlace,
    revision: CommitSha,
    { allowRewrite }: { readonly allowRewrite: boolean },
    abort: AbortSignal,
  ): Promise<string | undefined> {
    const lineage = this.#lineage;
    const trust = this.#trust;
    this.#last ??= { revision: await lastTrusted(place, lineage, abort) };
    const trusted = this.#last.revision;
    if (trusted === revision && trust.signed === "none") return undefined;
    const reason = await distrust({ place, revision, trust, trusted, allowRewrite, abort });
    if (reason !== undefined) return reason;
    await noteTrusted(place, { revision, lineage }, abort);
    this.#last = { revision };
    return undefined;
  }

  /** The mirror was made anew, and what it knew is gone. */
  forget(): void {
    this.#last = undefined;
  }
}
