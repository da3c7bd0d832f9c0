import { posix } from "node:path";
import { z } from "zod";
import { byKind, grammar, unsupported } from "./by-kind.ts";
import { Flag, KeyValues, wholeNumber } from "./values.ts";

const External = byKind({
  boolean: z.boolean(),
  string: Flag,
  mapping: z.looseObject({}).transform(() => true),
});

const fields = {
  environment: z.string().optional(),
  external: External.optional(),
  file: z.string().optional(),
  labels: KeyValues.optional(),
  name: z.string().optional(),
};

type Source =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "environment"; readonly variable: string }
  | { readonly kind: "content"; readonly text: string };

/** A top-level config: where its content comes from. */
export const ConfigModel = byKind({
  mapping: z
    .strictObject({ ...fields, content: z.string().optional() })
    .transform((model, context): Source => sourceOf(model, context)),
});
export type ConfigModel = z.infer<typeof ConfigModel>;

/** A top-level secret. */
export const SecretModel = byKind({
  mapping: z.strictObject(fields).transform((model, context): Source => {
    if (model.environment !== undefined) {
      context.addIssue({
        ...unsupported(
          "a variable comes from git as plain text: put the value into a file, and encrypt it with `berth secrets encrypt`",
        ),
        path: ["environment"],
      });
      return z.NEVER;
    }
    return sourceOf(model, context);
  }),
});
export type SecretModel = z.infer<typeof SecretModel>;

function sourceOf(
  model: {
    readonly environment?: string | undefined;
    readonly external?: boolean | undefined;
    readonly file?: string | undefined;
    readonly content?: string | undefined;
  },
  context: z.core.$RefinementCtx,
): Source {
  const { environment, external, file, content } = model;
  const refuse = (field: string, message: string): never => {
    context.addIssue({ ...unsupported(message), path: [field] });
    return z.NEVER;
  };
  if (external === true)
    return refuse("external", "nobody else keeps it on this host: name a file of the repository");
  const sources = [environment, file, content].filter((source) => source !== undefined);
  if (sources.length !== 1) {
    const message = "exactly one of file, environment and content is expected";
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  }
  if (environment !== undefined) return { kind: "environment", variable: environment };
  if (content !== undefined) return { kind: "content", text: content };
  const path = file ?? "";
  if (path.startsWith("/") || path.startsWith("~"))
    return refuse("file", "it lies outside of the repository: bind-mount the host's file instead");
  return { kind: "file", path: posix.normalize(path) };
}

const Id = byKind({
  string: grammar({
    parse: (text) =>
      /^[0-9]{1,5}$/.test(text) && Number(text) < 65_536 ? Number(text) : undefined,
    expected: "an id from 0 to 65535",
  }),
  number: wholeNumber({ min: 0, max: 65_535 }),
});

const Mode = byKind({
  number: wholeNumber({ min: 0, max: 0o7777 }),
  string: grammar({
    parse: (text) =>
      /^0?o?[0-7]{1,4}$/.test(text) ? Number.parseInt(text.replace("o", ""), 8) : undefined,
    expected: "an octal mode such as 0440",
  }),
});

/** One element of a service's `configs` or `secrets`. */
export const Grant = byKind({
  string: z.string().transform((source) => ({ source })),
  mapping: z.strictObject({
    source: z.string(),
    target: z.string().optional(),
    uid: Id.optional(),
    gid: Id.optional(),
    mode: Mode.optional(),
  }),
}) as z.ZodType<Grant>; // the short form is the long one without what is optional
export type Grant = {
  readonly source: string;
  readonly target?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly mode?: number | undefined;
};
