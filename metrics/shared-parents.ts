/** What a parent cgroup counts for all that is below it: while that stands still, no child's file of that name changes. */
import { emptyReading, type Reading } from "./figures.ts";
import { KeptFile } from "./kept-file.ts";
import type { Parser } from "./kernel-text.ts";

type Parent = {
  readonly file: KeptFile;
  lookedAt: number;
  sum: number;
  hasMoved: boolean;
};

/** Of one look at all containers after another: each parent's file is read once a look, when the first child asks. */
export class SharedParents {
  readonly #parents = new Map<string, Parent>();
  #look = 0;

  /** To be called before the first child is read. Parents that no child asked for since the last call are closed. */
  beginLook(): void {
    for (const [path, parent] of this.#parents) {
      if (parent.lookedAt === this.#look) continue;
      parent.file.close();
      this.#parents.delete(path);
    }
    this.#look += 1;
  }

  /**
   * Whether the children's files may hold something else than at the last look: the parent is read before any of them, so
   * what happened meanwhile shows in the next look. `path` is a child's file. True where the parent has no such file.
   */
  hasMoved(path: string, parse: Parser): boolean {
    const parentPath = besideParent(path);
    let parent = this.#parents.get(parentPath);
    if (parent === undefined) {
      const file = new KeptFile(parentPath, { keep: true });
      parent = { file, lookedAt: this.#look - 1, sum: Number.NaN, hasMoved: true };
      this.#parents.set(parentPath, parent);
    }
    if (parent.lookedAt === this.#look) return parent.hasMoved;
    parent.lookedAt = this.#look;
    const sum = sumOf(parent.file, parse);
    // NaN, where nothing could be read, is not even equal to itself.
    parent.hasMoved = sum !== parent.sum;
    parent.sum = sum;
    return parent.hasMoved;
  }

  close(): void {
    for (const { file } of this.#parents.values()) file.close();
    this.#parents.clear();
  }
}

/** `/a/b/file` -> `/a/file`. */
function besideParent(path: string): string {
  const name = path.lastIndexOf("/");
  return path.slice(0, path.lastIndexOf("/", name - 1)) + path.slice(name);
}

/** Counters only grow: their sum stands still when all of them do. */
function sumOf(file: KeptFile, parse: Parser): number {
  const reading: Reading = emptyReading();
  try {
    const { bytes, length } = file.read();
    parse(bytes, length, reading);
  } catch {
    return Number.NaN;
  }
  let sum = 0;
  for (const value of reading.values) if (!Number.isNaN(value)) sum += value;
  for (const row of reading.devices.values()) {
    for (const value of row) if (!Number.isNaN(value)) sum += value;
  }
  return sum;
}
