/** Reads one container's cgroups, again and again. */
import { cgroupFiles, type ReadWhen } from "./cgroup-files.ts";
import type { CgroupDirs } from "./container-target.ts";
import { emptyReading, figureIndex, type Reading } from "./figures.ts";
import { errnoName, KeptFile } from "./kept-file.ts";
import type { Parser } from "./kernel-text.ts";
import type { SharedParents } from "./shared-parents.ts";

type OpenFile = {
  readonly path: string;
  readonly file: KeptFile;
  readonly parse: Parser;
  readonly when: ReadWhen;
};

const limitsIntervalMs = 60_000;

/** Keeps the container's files open until `close`, or until the kernel says that the cgroup is gone. */
export class ContainerReader {
  readonly #dirs: CgroupDirs;
  readonly #parents: SharedParents;
  #files: OpenFile[] | undefined;
  #reading = emptyReading();
  #limitsDueMs = 0;

  constructor(dirs: CgroupDirs, parents: SharedParents) {
    this.#dirs = dirs;
    this.#parents = parents;
  }

  /** Once in each look of the parents. Undefined: there is no such cgroup now. The reading is overwritten by the next call. */
  read(nowMs: number): Reading | undefined {
    // A container that was started again has a new cgroup at the old path: one more try finds it.
    if (!this.#readFiles(nowMs) && !this.#readFiles(nowMs)) return undefined;
    finish(this.#reading.values);
    return this.#reading;
  }

  close(): void {
    for (const { file } of this.#files ?? []) file.close();
    this.#files = undefined;
    this.#reading = emptyReading();
    this.#limitsDueMs = 0;
  }

  get #cpuUsageUs(): number | undefined {
    return this.#reading.values[figureIndex.cpuUsageUs];
  }

  #readFiles(nowMs: number): boolean {
    const isNew = this.#files === undefined;
    const files = this.#files ?? openFiles(this.#dirs);
    let missing: Set<OpenFile> | undefined;
    const areLimitsDue = nowMs >= this.#limitsDueMs;
    const usedBeforeUs = this.#cpuUsageUs;
    for (const entry of files) {
      // Asked in any case: a look that nobody took part in would be missing.
      const hasMoved = entry.when !== "shared" || this.#parents.hasMoved(entry.path, entry.parse);
      if (!hasMoved && !areLimitsDue) continue;
      if (entry.when === "limits" && !areLimitsDue) continue;
      // The file of CPU time stands before those that depend on it.
      if (entry.when === "active" && !areLimitsDue && this.#cpuUsageUs === usedBeforeUs) continue;
      if (entry.when === "quota" && !hasQuota(this.#reading.values)) continue;
      const outcome = readInto(entry, this.#reading);
      if (outcome === "missing") {
        missing ??= new Set();
        missing.add(entry);
      }
      if (outcome === "gone" || (outcome === "missing" && !isNew && isCounter(entry))) {
        this.#files = files;
        this.close();
        return false;
      }
    }
    // Kernels lack some of the files: those are not asked for again.
    this.#files = missing === undefined ? files : files.filter((entry) => !missing.has(entry));
    if (areLimitsDue) this.#limitsDueMs = nowMs + limitsIntervalMs;
    if (this.#files.some(isCounter)) return true;
    this.close();
    return false;
  }
}

/** Of the container's whole life: such a file does not vanish while the cgroup is there. */
function isCounter({ when }: OpenFile): boolean {
  return when === "always" || when === "active" || when === "shared";
}

/** CPU bandwidth is limited: only then are periods counted. */
export function hasQuota(values: Float64Array): boolean {
  return (values[figureIndex.cpuQuotaUs] ?? 0) > 0;
}

function openFiles(dirs: CgroupDirs): OpenFile[] {
  return cgroupFiles(dirs).map(({ path, parse, when }) => ({
    path,
    file: new KeptFile(path, { keep: when !== "limits" }),
    parse,
    when,
  }));
}

function readInto(entry: OpenFile, reading: Reading): "read" | "missing" | "gone" {
  try {
    const { bytes, length } = entry.file.read();
    entry.parse(bytes, length, reading);
    return "read";
  } catch (error) {
    const name = errnoName(error);
    if (name === "ENODEV") return "gone";
    // EOPNOTSUPP: PSI is compiled in and switched off.
    if (name === "ENOENT" || name === "EOPNOTSUPP" || name === "ENOTSUP") return "missing";
    throw error;
  }
}

/** What follows from other figures. */
function finish(values: Float64Array): void {
  const usage = values[figureIndex.memoryUsage] ?? Number.NaN;
  const inactive = values[figureIndex.memoryInactiveFile] ?? Number.NaN;
  values[figureIndex.memoryWorkingSet] = Math.max(0, usage - inactive);
}
