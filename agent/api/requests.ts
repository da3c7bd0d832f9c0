/** What the agent's socket accepts, route by route. Unknown fields are refused. */
import { z } from "zod";

const Name = z.string().min(1).max(512);
const GraceMs = z.number().int().min(0).max(86_400_000);
const Flag = z.enum(["true", "false"]).transform((text) => text === "true");
const Count = z
  .string()
  .regex(/^\d{1,15}$/, "a whole number is expected")
  .transform(Number);

/** Queries of GET routes: every value arrives as text. */
export const Nothing = z.strictObject({});
export const PsQuery = z.strictObject({ all: Flag.default(false) });
export const InspectQuery = z.strictObject({ name: Name });
export const LogsQuery = z.strictObject({
  name: Name,
  tail: Count.optional(),
  sinceMs: Count.optional(),
  follow: Flag.default(false),
});
export const StatsQuery = z.strictObject({
  intervalMs: Count.pipe(z.number().min(100).max(3_600_000)).default(1000),
  /** Separated by commas, which no name has. */
  names: z
    .string()
    .min(1)
    .transform((text) => text.split(","))
    .optional(),
});
export const EventsQuery = z.strictObject({ follow: Flag.default(false) });

/** JSON bodies of POST routes. */
export const SyncBody = z.strictObject({
  timeoutMs: z.number().int().min(1).max(86_400_000).optional(),
  allowRewrite: z.boolean().default(false),
});
export const NameBody = z.strictObject({ name: Name });
export const StopBody = z.strictObject({ name: Name, graceMs: GraceMs.optional() });
export const KillBody = z.strictObject({
  name: Name,
  signal: z
    .string()
    .regex(/^(?:[A-Z][A-Z0-9+-]{1,15}|\d{1,2})$/, "a signal such as SIGTERM or 15 is expected")
    .default("SIGKILL"),
});
export const DownBody = z.strictObject({
  volumes: z.boolean().default(false),
  strays: z.boolean().default(false),
});

const TerminalSide = z.number().int().min(1).max(65_535);
const NoNul = z.string().refine((text) => !text.includes("\0"), "a NUL byte cannot be passed on");

export const Terminal = z.strictObject({ rows: TerminalSide, columns: TerminalSide });
export const Signal = z.number().int().min(1).max(64);

/** Payload of the OPEN frame of an exec stream. */
export const ExecRequest = z.strictObject({
  name: Name,
  argv: z.array(NoNul.max(131_072)).min(1).max(4096),
  environment: z.record(z.string().regex(/^[^=\0]+$/), NoNul.max(131_072)).default({}),
  user: NoNul.min(1).max(256).optional(),
  workingDir: NoNul.min(1).max(4096).optional(),
  tty: z.boolean().default(false),
  stdin: z.boolean().default(false),
  /** The answer ends with STARTED, and the process goes on. */
  detach: z.boolean().default(false),
  terminal: Terminal.optional(),
});

export type ExecRequest = z.output<typeof ExecRequest>;

/** Payload of the OPEN frame of an attach stream. */
export const AttachRequest = z.strictObject({ name: Name, stdin: z.boolean().default(false) });

export type AttachRequest = z.output<typeof AttachRequest>;

/** Body of a run, and with `RunOwner` payload of the OPEN frame of a run stream. */
export const RunRequest = z.strictObject({
  name: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9_-]{0,62}$/,
      "a name of up to 63 lower-case letters, digits, dashes and underscores is expected",
    ),
  compose: z.record(z.string(), z.unknown()),
  pull: z.enum(["missing", "always", "never"]).default("missing"),
  remove: z.boolean().default(false),
  publishAll: z.boolean().default(false),
});

export const RunStreamRequest = RunRequest.extend({
  stdin: z.boolean().default(false),
  terminal: Terminal.optional(),
});

export type RunStreamRequest = z.output<typeof RunStreamRequest>;

const Path = NoNul.min(1).max(4096);
const copyLimits = {
  bytesMax: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  entriesMax: z.number().int().min(1).max(0xffff_fffe),
};

/** Payload of the OPEN frame of a copy stream; a `CopySpec` of a container. */
export const CopyRequest = z.discriminatedUnion("direction", [
  z.strictObject({
    name: Name,
    direction: z.literal("out"),
    path: Path,
    followLink: z.boolean().default(false),
    entryName: NoNul.min(1).max(255).default("."),
    ...copyLimits,
  }),
  z.strictObject({
    name: Name,
    direction: z.literal("in"),
    path: Path,
    extract: z.boolean().default(false),
    sourceName: NoNul.max(255).default(""),
    contents: z.boolean().default(false),
    keepIds: z.boolean().default(false),
    ...copyLimits,
  }),
]);

export type CopyRequest = z.output<typeof CopyRequest>;

/** One sentence out of a failed parse: every mistake with its field. */
export function describeMistakes(error: z.ZodError): string {
  return error.issues
    .slice(0, 8)
    .map(
      (issue) => `${issue.path.length === 0 ? "request" : issue.path.join(".")}: ${issue.message}`,
    )
    .join("; ");
}
