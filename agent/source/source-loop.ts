import { compileRevision } from "../../manifests/compile-revision.ts";
import { KeptApps } from "../../manifests/compose/kept-apps.ts";
import type { CommitSha, Diagnostic } from "../../manifests/desired-state.ts";
import { backoffMs } from "../backoff.ts";
import type { Core } from "../core.ts";
import { describeError } from "../log.ts";
import { admitService } from "../policy/admit-service.ts";
import { nextPollInMs } from "../settings/schedule.ts";
import { neededTrees } from "../trees/needed-trees.ts";
import { isCommitTooLarge } from "./commit-tree.ts";
import type { RevisionSource } from "./git-mirror.ts";

export type SourceState = {
  /** null before the first fetch. */
  readonly fetchedAtMs: number | null;
  readonly error: string | null;
  readonly unreachableSinceMs: number | null;
  /** The newest commit that was looked at, valid or not. */
  readonly seen: CommitSha | null;
  /** Why that commit is not valid: `file:line:column: message`. */
  readonly errors: readonly string[];
};

export type RefreshWish = {
  /** The ref may have moved anywhere; a commit that was refused for that is looked at again. */
  readonly allowRewrite?: boolean | undefined;
};

const errorsMax = 200;
const retryMsFirst = 2_000;
const retryMsMax = 60_000;

/**
 * Asks the source for news by schedule, by hint and by wish, and hands valid revisions to the loop. An invalid
 * commit, or a source that cannot be reached, changes nothing but what the status says.
 */
export class SourceLoop {
  readonly #core: Core;
  readonly #kept = new KeptApps();
  #source: RevisionSource;
  #state: SourceState;
  #wake: () => void = () => {};
  #hinted = false;
  /** Fetches in a row that failed. */
  #failures = 0;
  #refreshing: Promise<void> | undefined;

  constructor(core: Core, source: RevisionSource) {
    this.#core = core;
    this.#source = source;
    const fetchedAt = core.state.fact("source.fetched-at-ms");
    this.#state = {
      fetchedAtMs: fetchedAt === undefined ? null : Number(fetchedAt),
      error: null,
      unreachableSinceMs: null,
      seen: null,
      errors: [],
    };
  }

  get state(): SourceState {
    return this.#state;
  }

  get source(): RevisionSource {
    return this.#source;
  }

  /** Another repository, ref, path or host: what was seen is looked at again. */
  replaceSource(source: RevisionSource): void {
    this.#source = source;
    this.#state = { ...this.#state, seen: null, errors: [] };
    this.hint();
  }

  /** The source may have moved. */
  hint(): void {
    this.#hinted = true;
    this.#wake();
  }

  /** Fetches now and accepts what is valid. Resolves when that is done, well or badly: see `state`. */
  async refresh(abort: AbortSignal, wish: RefreshWish = {}): Promise<void> {
    // One that began before the wish may have asked before the move.
    await this.#alone(() => this.#refresh(abort, wish));
  }

  async #alone(work: () => Promise<void>): Promise<void> {
    while (this.#refreshing !== undefined) await this.#refreshing;
    this.#refreshing = work().finally(() => {
      this.#refreshing = undefined;
    });
    await this.#refreshing;
  }

  /** Runs until the signal; never rejects. */
  async run(abort: AbortSignal): Promise<void> {
    const { clock, settings, random } = this.#core;
    while (!abort.aborted) {
      this.#hinted = false;
      await this.refresh(abort);
      await this.#maintain(abort);
      if (this.#hinted) continue;
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      const regular = nextPollInMs(settings().poll, clock.now(), random());
      const pace = { failures: this.#failures, firstMs: retryMsFirst, maxMs: retryMsMax };
      const retry = this.#failures === 0 ? regular : backoffMs({ ...pace, random: random() });
      const wait = Math.min(regular, retry);
      await clock.sleep(wait, AbortSignal.any([abort, woken.signal])).catch(() => {});
      this.#wake = () => {};
    }
  }

  async #refresh(abort: AbortSignal, wish: RefreshWish): Promise<void> {
    const { clock, meters, state, log } = this.#core;
    const startedAtMs = clock.now();
    try {
      const sha = await this.#source.fetch(abort);
      const fetchedAtMs = clock.now();
      meters.fetched("ok");
      this.#reachable(fetchedAtMs);
      if (sha === this.#state.seen && wish.allowRewrite !== true) {
        this.#failures = 0;
        return;
      }
      await this.#look(sha, wish, abort);
      // After the look: the next fetch must look again when this one was cut short.
      state.setFact("source.fetched-at-ms", String(fetchedAtMs));
      this.#failures = 0;
    } catch (error) {
      if (abort.aborted) return;
      meters.fetched("failed");
      this.#failures += 1;
      const text = describeError(error);
      const unreachableSinceMs = this.#state.unreachableSinceMs ?? startedAtMs;
      if (this.#state.error !== text) log.warn("cannot fetch", { error: text });
      this.#state = { ...this.#state, error: text, unreachableSinceMs };
    }
  }

  async #maintain(abort: AbortSignal): Promise<void> {
    const { log, state, trees } = this.#core;
    const warn = (message: string) => (error: unknown) => {
      if (!abort.aborted) log.warn(message, { error: describeError(error) });
    };
    await this.#source.maintain(abort).catch(warn("cannot tidy the mirror"));
    // Not beside a refresh: what it brings is not needed by anyone yet.
    await this.#alone(async () => {
      const needed = await neededTrees(this.#core);
      state.forgetSecretsBut(needed);
      await trees.keepOnly(needed);
    }).catch(warn("cannot remove files that nothing mounts any more"));
  }

  #reachable(fetchedAtMs: number): void {
    if (this.#state.error !== null) this.#core.log.info("the source can be reached again");
    this.#state = { ...this.#state, fetchedAtMs, error: null, unreachableSinceMs: null };
  }

  async #look(sha: CommitSha, wish: RefreshWish, abort: AbortSignal): Promise<void> {
    const { settings, enforcement, clock, events, log, puller, trees, secrets } = this.#core;
    const allowRewrite = wish.allowRewrite === true;
    const distrust = await this.#source.distrust(sha, { allowRewrite }, abort);
    if (distrust !== undefined) {
      this.#refuse(sha, [distrust]);
      return;
    }
    const { host, path, policy, listen } = settings();
    const admit = admitService(policy, { ports: listen === null ? [] : [listen.port] });
    const reader = await this.#source.open(sha, abort).catch((error: unknown) => {
      if (!isCommitTooLarge(error)) throw error;
      this.#refuse(sha, [error.message]);
      return undefined;
    });
    if (reader === undefined) return;
    const result = await compileRevision({
      revision: sha,
      reader,
      host,
      path,
      abort,
      admit,
      kept: this.#kept,
    })
      .then(async (compiled) => {
        // Before the revision is accepted: what it mounts has to be here when it is.
        if (compiled.ok) await trees.put(compiled.desired.trees ?? {}, reader);
        return compiled;
      })
      .finally(() => reader.close());
    if (!result.ok) {
      this.#refuse(sha, result.errors.slice(0, errorsMax).map(describeDiagnostic));
      return;
    }
    for (const warning of result.warnings) {
      log.warn("manifest", { warning: describeDiagnostic(warning) });
    }
    const resolved = await secrets.resolve(result.desired);
    if (!resolved.ok) {
      this.#refuse(sha, resolved.errors.slice(0, errorsMax), { again: true });
      return;
    }
    const { desired } = resolved;
    this.#state = { ...this.#state, seen: sha, errors: [] };
    this.#core.meters.refused(false);
    const known = enforcement.desired();
    if (known !== undefined && JSON.stringify(known) === JSON.stringify(desired)) return;
    const commit = await this.#source.describe(sha, abort);
    const { author, subject } = commit;
    enforcement.accept(desired, commit, clock.now());
    puller.forgetFailures();
    log.info("revision accepted", { revision: sha, apps: desired.apps.length });
    const message = `revision ${sha.slice(0, 12)} was accepted: ${subject} (${author})`;
    const fields = { author, subject };
    events.record({ kind: "revision.accepted", target: sha, message, fields });
    this.#core.wake("source moved");
  }

  /** Not looked at again until the ref moves, or with `again` until the next fetch: the host may have been mended. */
  #refuse(
    sha: CommitSha,
    errors: readonly string[],
    { again = false }: { readonly again?: boolean } = {},
  ): void {
    const { events, log } = this.#core;
    const isKnown = again && errors.join("\n") === this.#state.errors.join("\n");
    this.#state = { ...this.#state, seen: again ? null : sha, errors };
    this.#core.meters.refused(true);
    if (isKnown) return;
    log.warn("the newest commit was refused", { revision: sha, errors: errors.length });
    const message = `commit ${sha.slice(0, 12)} was refused: ${errors[0] ?? ""}`;
    events.record({ kind: "revision.refused", target: sha, message, fields: { errors } });
  }
}

function describeDiagnostic({ file, line, column, message }: Diagnostic): string {
  return `${file}:${line}:${column}: ${message}`;
}
