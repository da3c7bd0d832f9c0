/** A file of a revision as containers see it. */
export type TreeFile = {
  /** Below the tree's root; empty where the tree is this one file. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  readonly sizeBytes: number;
  /** Of the content, in hex. */
  readonly sha256: string;
  /** Where the content is: a path of the repository, or the text itself. */
  readonly source: { readonly path: string } | { readonly text: string };
};

/** What never changes: its digest stands for its content, its names, modes and owner. */
export type FileTree = {
  readonly kind: "file" | "directory";
  /** As the container sees them. */
  readonly uid: number;
  readonly gid: number;
  /** Sorted by path. */
  readonly files: readonly TreeFile[];
};
