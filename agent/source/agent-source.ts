import type { Log } from "../../runtime/runtime.ts";
import type { Settings } from "../settings/settings.ts";
import { changedFields } from "../settings/watched-settings.ts";
import type { StateStore } from "../store/state-store.ts";
import { openGitMirror } from "./git-mirror.ts";
import type { SourceLoop } from "./source-loop.ts";
import { watchRepository } from "./watch-repository.ts";

type Mirror = ReturnType<typeof openGitMirror>;

const fetchTimeoutMs = 120_000;
/** A change of one of these begins anew: what was seen is looked at again. */
const sourceFields = new Set(["repo", "ref", "git", "commits", "path", "host", "policy"]);

export type SourcePlace = {
  readonly libDir: string;
  readonly state: Pick<StateStore, "fact" | "setFact">;
};

export function openSource(settings: Settings, { libDir, state }: SourcePlace): Mirror {
  const { repo, ref, git: transport, commits: trust } = settings;
  const trustMemory = {
    read: (source: string) => state.fact(`trusted.${source}`),
    write: (source: string, revision: string) => state.setFact(`trusted.${source}`, revision),
  };
  return openGitMirror({ repo, ref, libDir, fetchTimeoutMs, transport, trust, trustMemory });
}

/** Watches the repository while it is a local one, also after the settings named another. */
export class SourceWatch {
  readonly #options: {
    readonly loop: SourceLoop;
    readonly place: SourcePlace;
    readonly log: Log;
  };
  #watcher: { close(): Promise<void> } | undefined;

  constructor(options: {
    readonly loop: SourceLoop;
    readonly place: SourcePlace;
    readonly log: Log;
  }) {
    this.#options = options;
  }

  watch(mirror: Mirror): void {
    const { loop, log } = this.#options;
    if (mirror.localPath === undefined) return;
    const onChange = () => loop.hint();
    this.#watcher = watchRepository({ path: mirror.localPath, log, onChange });
  }

  async changed(now: Settings, before: Settings): Promise<void> {
    const { loop, place, log } = this.#options;
    const changed = changedFields(before, now);
    if (!changed.some((field) => sourceFields.has(field))) {
      loop.hint();
      return;
    }
    try {
      const mirror = openSource(now, place);
      await this.close();
      loop.replaceSource(mirror);
      this.watch(mirror);
    } catch (error) {
      log.error("source not changed, the earlier one stays", { error });
    }
  }

  async close(): Promise<void> {
    await this.#watcher?.close();
    this.#watcher = undefined;
  }
}
