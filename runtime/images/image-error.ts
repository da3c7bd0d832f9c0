/** Who must act: `stalled` a person, `retryable` nobody, the same call may work later. */
export type ImageErrorKind = "stalled" | "retryable";

export type ImageErrorParts = {
  readonly because: string;
  /** What would make it work, as an imperative. */
  readonly fix: string;
  readonly kind: ImageErrorKind;
  /** When the other side asked to be tried again, in milliseconds since the epoch. */
  readonly retryAtMs?: number;
  /** The other side says that there is no such thing. */
  readonly isAbsence?: boolean;
  readonly cause?: unknown;
};

/** A failure of the image store: what was tried, why it failed, and what would fix it. */
export class ImageError extends Error {
  override readonly name = "ImageError";
  readonly because: string;
  readonly fix: string;
  readonly kind: ImageErrorKind;
  readonly retryAtMs: number | undefined;
  readonly isAbsence: boolean;

  constructor(parts: ImageErrorParts, doing = "use the image") {
    super(
      `cannot ${doing} because ${parts.because}: ${parts.fix}`,
      parts.cause === undefined ? undefined : { cause: parts.cause },
    );
    this.because = parts.because;
    this.fix = parts.fix;
    this.kind = parts.kind;
    this.retryAtMs = parts.retryAtMs;
    this.isAbsence = parts.isAbsence ?? false;
  }

  /** The same failure as `cannot DOING because …`. */
  whileDoing(doing: string): ImageError {
    const { because, fix, kind, retryAtMs, isAbsence, cause } = this;
    return new ImageError(
      {
        because,
        fix,
        kind,
        isAbsence,
        ...(retryAtMs === undefined ? {} : { retryAtMs }),
        ...(cause === undefined ? {} : { cause }),
      },
      doing,
    );
  }
}

/**
 * The error that a caller of the store sees: `cannot DOING because …: …`. An abort by the caller stays what it is;
 * a full disk is named wherever it happened.
 */
export function imageFailure(
  doing: string,
  error: unknown,
  context: { readonly abort?: AbortSignal; readonly directory: string },
): unknown {
  if (context.abort?.aborted === true) return context.abort.reason;
  const full = fullDiskCode(error);
  if (full !== undefined) {
    return new ImageError(
      {
        because: `the disk of ${context.directory} is full (${full})`,
        fix: "free space there or remove images; what was begun has been undone",
        kind: "stalled",
        cause: error,
      },
      doing,
    );
  }
  if (error instanceof ImageError) return error.whileDoing(doing);
  return new ImageError(
    {
      because: printable(error instanceof Error ? error.message : String(error)),
      fix: "see the cause in the log",
      kind: "retryable",
      cause: error,
    },
    doing,
  );
}

const fullDiskCodes: readonly string[] = ["ENOSPC", "EDQUOT"];

/** What the helper, or the disk, could not do because of this host: it says nothing about what was read. */
export function isHostFailure(error: unknown): boolean {
  return (
    findCode(error, [...fullDiskCodes, "EIO", "ECHILD", "ENOMEM", "EMFILE", "ENFILE"]) !== undefined
  );
}

/** The errno where a disk without room, or a quota, is the cause of it. */
function fullDiskCode(error: unknown): string | undefined {
  return findCode(error, fullDiskCodes);
}

/** The first of `codes` that the error or one of its causes carries. */
function findCode(error: unknown, codes: readonly string[]): string | undefined {
  let current = error;
  for (let depth = 0; depth < 8 && current instanceof Error; depth += 1) {
    const code = "code" in current ? current.code : undefined;
    if (typeof code === "string" && codes.includes(code)) return code;
    current = current.cause;
  }
  return undefined;
}

/** One bounded line without control characters: text that others wrote goes to terminals and logs. */
export function printable(text: string, lengthMax = 300): string {
  // Cc: control characters; Cf: also those that turn the direction of text; Zl, Zp: line separators.
  const clean = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ").trim();
  return clean.length > lengthMax ? `${clean.slice(0, lengthMax)}…` : clean;
}
