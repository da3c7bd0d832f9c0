import { z } from "zod";
import { quoteValue } from "../diagnostics.ts";
import { Build, Develop } from "./build-model.ts";
import { byKind, grammar, only, unsupported } from "./by-kind.ts";
import { ByteSize, Flag, wholeNumber } from "./values.ts";

/** One text, or a list of them. */
const Texts = byKind({
  string: z.string().transform((text): readonly string[] => [text]),
  list: z.array(z.string()).transform((list): readonly string[] => list),
});

/** `PATH`, or `{path, format, required}`. */
const EnvFile = byKind({
  string: z.string().transform((path): EnvFile => ({ path, required: true })),
  mapping: z
    .strictObject({
      format: z.string().optional(),
      path: z.string(),
      required: Flag.default(true),
    })
    .transform(({ path, required, format }, context): EnvFile => {
      if (format === undefined || format === "") return { path, required };
      if (format === "raw") return { path, required, raw: true };
      const message = `${quoteValue(format)} is not a format: raw is expected, or none`;
      context.addIssue({ code: "custom", message, path: ["format"] });
      return z.NEVER;
    }),
});
export type EnvFile = {
  readonly path: string;
  readonly required: boolean;
  /** Lines of `KEY=VALUE`, taken as they stand. */
  readonly raw?: true;
};

const Expose = grammar({
  parse: (text) =>
    /^[0-9]{1,5}(?:-[0-9]{1,5})?(?:\/(?:tcp|udp|sctp))?$/.test(text) ? text : undefined,
  expected: "a port of the container such as 8080, 8000-8010 or 53/udp",
});

const Link = grammar({
  parse: (text) => {
    const [, service, alias] = /^([a-zA-Z0-9._-]+)(?::([a-zA-Z0-9._-]+))?$/.exec(text) ?? [];
    return service === undefined ? undefined : { service, alias: alias ?? service };
  },
  expected: "SERVICE or SERVICE:ALIAS",
});

const fileBytesMin = 4096;

const Logging = byKind({
  null: z.null(),
  mapping: z.strictObject({
    driver: only("json-file", "logs are kept as json-file").optional(),
    options: z
      .strictObject({
        "max-file": wholeNumber({ min: 1, max: 1000 }).optional(),
        "max-size": ByteSize.refine((bytes) => bytes >= fileBytesMin, {
          error: "at least 4k is expected",
        }).optional(),
      })
      .optional(),
  }),
});

const PullPolicy = z.string().transform((text, context) => {
  const everyMs = pullIntervalMs(text);
  if (everyMs !== undefined) return { everyMs };
  switch (text) {
    case "always":
    case "never":
      return text;
    case "missing":
    case "if_not_present":
      return "missing";
    case "build":
      context.addIssue(unsupported("the policy build: push the image elsewhere, use missing"));
      return z.NEVER;
    case "refresh":
      context.addIssue(unsupported("the policy refresh: use always, daily, weekly or every_N"));
      return z.NEVER;
    default:
      context.addIssue({
        code: "custom",
        message: `${quoteValue(text)} is not always, missing, if_not_present, never, daily, weekly or every_N with a unit of w, d, h, m or s`,
      });
      return z.NEVER;
  }
});

/** `daily`, `weekly` or `every_1d12h`. */
function pullIntervalMs(text: string): number | undefined {
  const unitMs = { w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 } as const;
  if (text === "daily") return unitMs.d;
  if (text === "weekly") return unitMs.w;
  if (!/^every_(?:[0-9]{1,6}[wdhms])+$/.test(text)) return undefined;
  return [...text.matchAll(/([0-9]+)([wdhms])/g)].reduce(
    // The pattern above leaves these units only.
    (sum, [, count, unit]) => sum + Number(count) * unitMs[unit as keyof typeof unitMs],
    0,
  );
}

/** Keys of a Compose service about how it is run: its names, files, image and log. */
export const runFields = {
  attach: Flag.optional(),
  build: Build.optional(),
  container_name: grammar({
    parse: (text) => (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}$/.test(text) ? text : undefined),
    expected: "a name of a container: letters, digits, _ . - and a letter or digit first",
  }).optional(),
  develop: Develop.optional(),
  env_file: byKind({
    string: z.string().transform((path): readonly EnvFile[] => [{ path, required: true }]),
    list: z.array(EnvFile).transform((files): readonly EnvFile[] => files),
  }).optional(),
  expose: z
    .array(
      byKind({ number: wholeNumber({ min: 1, max: 65_535 }).transform(String), string: Expose }),
    )
    .optional(),
  label_file: Texts.optional(),
  links: z.array(Link).optional(),
  logging: Logging.optional(),
  platform: grammar({
    parse: (text) => (/^(?:[a-z0-9_]+(?:\/[a-z0-9_]+){0,2})?$/.test(text) ? text : undefined),
    expected: "a platform such as linux/amd64",
  }).optional(),
  profiles: z
    .array(
      grammar({
        parse: (text) => (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(text) ? text : undefined),
        expected: "a profile: letters, digits, _ . - and a letter or digit first",
      }),
    )
    .optional(),
  pull_policy: PullPolicy.optional(),
};
