import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import type { ProcessIdentity } from "../helper/launcher.ts";
import type { CgroupDirs } from "./cgroup-path.ts";

/** What is kept of a container from its creation to its deletion. */
export type OciRecord = {
  readonly ociVersion: string;
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: string;
  /** RFC 3339. */
  readonly created: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** Absent until there is one. */
  readonly process?: ProcessIdentity;
  /** Below the mount points of the hierarchies. */
  readonly cgroupPath: string;
  readonly cgroup: CgroupDirs;
  /** Processes of others were in the cgroup before: they are not this container's to end. */
  readonly sharesCgroup?: true;
};

/** One directory below `--root` for each container: `ROOT/ID`. */
export class StateDirectory {
  readonly root: string;
  readonly id: string;

  /** Throws for an id that is no plain name. */
  constructor(root: string, id: string) {
    if (!/^[\w+.-]+$/.test(id) || id === "." || id === ".." || id.length > 1024) {
      throw new Error(
        `cannot use the container id ${JSON.stringify(id)}: letters, digits and _ + - . are expected`,
      );
    }
    this.root = root;
    this.id = id;
  }

  get path(): string {
    return `${this.root}/${this.id}`;
  }

  /** Where the init waits for its start; short, because the path of a socket is. */
  get startSocket(): string {
    return `${this.path}/start`;
  }

  get configFile(): string {
    return `${this.path}/config.json`;
  }

  /** Empty; what the container's root is mounted on, in its own namespace. */
  get stagingDir(): string {
    return `${this.path}/root`;
  }

  /** Throws when the id is taken. */
  make(configFile: string): void {
    mkdirSync(this.root, { recursive: true, mode: 0o711 });
    try {
      mkdirSync(this.path, { mode: 0o700 });
    } catch (cause) {
      if (!isErrno(cause, "EEXIST")) throw cause;
      throw new Error(
        `cannot create the container: container with id ${this.id} already exists below ${this.root}`,
        { cause },
      );
    }
    mkdirSync(this.stagingDir);
    copyFileSync(configFile, this.configFile);
  }

  write(record: OciRecord): void {
    const text = JSON.stringify(record, (_key, value: unknown) =>
      typeof value === "bigint" ? value.toString() : value,
    );
    writeFileSync(`${this.path}/state.json.new`, text, { mode: 0o600 });
    renameSync(`${this.path}/state.json.new`, `${this.path}/state.json`);
  }

  /** Throws when there is no such container. */
  read(): OciRecord {
    try {
      return parseRecord(readFileSync(`${this.path}/state.json`, "utf8"));
    } catch (cause) {
      if (!isErrno(cause, "ENOENT")) throw cause;
      throw new MissingContainerError(this, cause);
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Callers look for the words "does not exist". */
export class MissingContainerError extends Error {
  constructor(directory: StateDirectory, cause: unknown) {
    super(`cannot find the container: ${directory.id} does not exist below ${directory.root}`, {
      cause,
    });
  }
}

/** Ids of all containers below a root, whole ones only. */
export function listContainers(root: string): readonly OciRecord[] {
  let names: readonly string[];
  try {
    names = readdirSync(root);
  } catch (cause) {
    if (isErrno(cause, "ENOENT")) return [];
    throw cause;
  }
  return names.flatMap((name) => {
    try {
      return [new StateDirectory(root, name).read()];
    } catch {
      // Being made or being deleted.
      return [];
    }
  });
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function parseRecord(text: string): OciRecord {
  // Written by `write`, in a directory that only root may enter.
  const parsed = JSON.parse(text) as OciRecord & {
    readonly process?: { readonly pid: number; readonly startTime: string };
  };
  const { process, ...rest } = parsed;
  if (process === undefined) return rest;
  return { ...rest, process: { pid: process.pid, startTime: BigInt(process.startTime) } };
}
