import type { FileReader } from "../desired-state.ts";
import type { FileTree, TreeFile } from "./file-tree.ts";
import { sha256, treeDigest } from "./tree-digest.ts";

/** How the files of a tree look inside; undefined fields: root's, 0644, or 0755 where git says executable. */
export type TreeLook = {
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly mode?: number | undefined;
};

export type TreeAnswer =
  | { readonly ok: true; readonly digest: string }
  | { readonly ok: false; readonly problem: string };

/** What an app asks of the trees of its revision. */
export type AppTrees = Pick<TreeReader, "at" | "text">;

/** Makes trees of the files of one revision, each file read once. Only digests are kept, no content. */
export class TreeReader {
  readonly #reader: FileReader;
  readonly #trees = new Map<string, FileTree>();
  readonly #read = new Map<string, Promise<Seen>>();
  #paths: { readonly files: ReadonlySet<string>; readonly others: readonly string[] } | undefined;
  #bytesLeft = revisionBytesMax;

  constructor(reader: FileReader) {
    this.#reader = reader;
  }

  /** Every tree that was asked for, by its digest. */
  trees(): Readonly<Record<string, FileTree>> {
    return Object.fromEntries([...this.#trees].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** The file or directory at a path of the repository. Rejects only when the reader fails. */
  async at(path: string, look: TreeLook = {}): Promise<TreeAnswer> {
    this.#paths ??= {
      files: new Set(await this.#reader.list()),
      others: await this.#reader.others(),
    };
    const { files, others } = this.#paths;
    const shown = JSON.stringify(path);
    if (path === ".." || path.startsWith("../"))
      return { ok: false, problem: `${shown} leads out of the repository: keep the file in it` };
    if (files.has(path)) return this.#make("file", [{ path: "", source: path }], look);
    const prefix = path === "." ? "" : `${path}/`;
    const odd = others.find((other) => other === path || other.startsWith(prefix));
    if (odd !== undefined)
      return {
        ok: false,
        problem: `${JSON.stringify(odd)} is a symbolic link or a submodule: put the file itself there`,
      };
    const below = [...files].filter((file) => file.startsWith(prefix)).sort();
    if (below.length === 0)
      return { ok: false, problem: `there is no ${shown} in the revision: add it to git` };
    if (below.length > filesMax)
      return {
        ok: false,
        problem: `${shown} has ${below.length} files: at most ${filesMax} are mounted, use a volume`,
      };
    const named = below.map((file) => ({ path: file.slice(prefix.length), source: file }));
    return this.#make("directory", named, look);
  }

  /** One file with this content. */
  text(text: string, look: TreeLook = {}): string {
    const mode = look.mode ?? 0o444;
    const bytes = Buffer.from(text);
    const file = {
      path: "",
      mode,
      sizeBytes: bytes.length,
      sha256: sha256(bytes),
      source: { text },
    };
    return this.#keep({ kind: "file", ...ownerOf(look), files: [file] });
  }

  async #make(
    kind: FileTree["kind"],
    named: readonly { readonly path: string; readonly source: string }[],
    look: TreeLook,
  ): Promise<TreeAnswer> {
    const files: TreeFile[] = [];
    for (const { path, source } of named) {
      const seen = await this.#see(source);
      if ("problem" in seen) return { ok: false, problem: seen.problem };
      const mode = look.mode ?? (seen.executable ? 0o755 : 0o644);
      const { sizeBytes, digest } = seen;
      files.push({ path, mode, sizeBytes, sha256: digest, source: { path: source } });
    }
    return { ok: true, digest: this.#keep({ kind, ...ownerOf(look), files }) };
  }

  #keep(tree: FileTree): string {
    const digest = treeDigest(tree);
    if (!this.#trees.has(digest)) this.#trees.set(digest, tree);
    return digest;
  }

  #see(path: string): Promise<Seen> {
    const known = this.#read.get(path);
    if (known !== undefined) return known;
    const seen = this.#readFile(path);
    this.#read.set(path, seen);
    return seen;
  }

  async #readFile(path: string): Promise<Seen> {
    const shown = JSON.stringify(path);
    const room = Math.min(fileBytesMax, this.#bytesLeft);
    try {
      const bytes = await this.#reader.read(path, room);
      if (bytes === undefined) return { problem: `${shown} is listed but cannot be read` };
      this.#bytesLeft -= bytes.length;
      const executable = await this.#reader.isExecutable(path);
      return { executable, sizeBytes: bytes.length, digest: sha256(bytes) };
    } catch (error) {
      if (!(error instanceof Error) || !("code" in error) || error.code !== "EFBIG") throw error;
      const limit =
        room === fileBytesMax
          ? `a file that is mounted has at most ${fileBytesMax} bytes`
          : `all mounted files of a revision together have at most ${revisionBytesMax} bytes`;
      return { problem: `${shown} is too large: ${limit}, use a volume` };
    }
  }
}

type Seen =
  | { readonly executable: boolean; readonly sizeBytes: number; readonly digest: string }
  | { readonly problem: string };

const filesMax = 10_000;
const fileBytesMax = 64 * 1024 * 1024;
const revisionBytesMax = 256 * 1024 * 1024;

function ownerOf({ uid = 0, gid = 0 }: TreeLook): { readonly uid: number; readonly gid: number } {
  return { uid, gid };
}
