import type { SopsScalar } from "./sops-value.ts";

/** One value of a SOPS file, in the order of the file. */
export type SopsLeaf = {
  /** Keys that lead there, without positions in lists. */
  readonly path: readonly string[];
  readonly scalar: SopsScalar;
  readonly isComment: boolean;
  /** Puts another value in its place, until the document is written. */
  set(scalar: SopsScalar): void;
};

/** A file of one of SOPS's formats, taken apart. Throws nothing once it was read. */
export type SopsDocument = {
  /** The `sops` mapping; undefined in a plain file. */
  readonly metadata: unknown;
  readonly leaves: readonly SopsLeaf[];
  /** The file with what was set, and with this metadata or none. */
  write(metadata: Readonly<Record<string, unknown>> | undefined): string;
};

export type SopsFormat = "yaml" | "json" | "dotenv" | "binary";
