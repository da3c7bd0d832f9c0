import type { Launcher, WatchedFiles } from "../helper/launcher.ts";
import type { Log } from "../runtime.ts";

/**
 * Which groups of files changed since they were last read. The helper looks at all of them in one request: that costs a tenth of
 * opening and reading each one here.
 */
export class FileMarks {
  readonly #launcher: Pick<Launcher, "fingerprints">;
  readonly #log: Log;
  /** As of the last look. */
  #now: ReadonlyMap<string, string> = new Map();
  /** As of the look before they were last read. */
  readonly #read = new Map<string, string>();

  constructor({ launcher, log }: { launcher: Pick<Launcher, "fingerprints">; log: Log }) {
    this.#launcher = launcher;
    this.#log = log;
  }

  /** Looks at these groups, by name. Never rejects: what could not be looked at counts as changed. */
  async look(groups: ReadonlyMap<string, WatchedFiles>): Promise<void> {
    this.#now = new Map();
    if (groups.size === 0) return;
    try {
      const prints = await this.#launcher.fingerprints([...groups.values()]);
      this.#now = new Map([...groups.keys()].map((name, index) => [name, prints[index] ?? ""]));
    } catch (error) {
      this.#log.warn("files were not looked at together", { error });
    }
  }

  /** False also for a group that was not among those of the last look, or was never read. */
  isUnchanged(name: string): boolean {
    const now = this.#now.get(name);
    return now !== undefined && now === this.#read.get(name);
  }

  /** The files were read after the last look at them. */
  wasRead(name: string): void {
    const now = this.#now.get(name);
    if (now === undefined) this.#read.delete(name);
    else this.#read.set(name, now);
  }

  forget(name: string): void {
    this.#read.delete(name);
  }
}
