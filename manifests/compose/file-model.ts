import { z } from "zod";
import { byKind, grammar, only } from "./by-kind.ts";
import { Flag, KeyValues } from "./values.ts";

/** A project name as Compose takes it. */
export const AppName = byKind({
  string: grammar({
    parse: (text) => (/^[a-z0-9][a-z0-9_-]{0,62}$/.test(text) ? text : undefined),
    expected:
      "a name for an app: lower-case letters, digits, - and _, beginning with a letter or digit",
  }),
});
export type AppName = z.infer<typeof AppName>;

const objectName = grammar({
  parse: (text) => (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(text) ? text : undefined),
  expected: "a name: letters, digits, _ . - and a letter or digit first",
});

const VolumeFields = z.strictObject({
  driver: only("local", "local is the only driver").optional(),
  external: Flag.optional(),
  labels: KeyValues.optional(),
  name: objectName.optional(),
});

/** A top-level volume; null takes every default. */
export const VolumeModel = byKind({
  null: z.null().transform((): z.infer<typeof VolumeFields> => ({})),
  mapping: VolumeFields,
});
export type VolumeModel = z.infer<typeof VolumeModel>;

const NetworkFields = z.strictObject({
  driver: only("bridge", "bridge is the only driver").optional(),
  internal: Flag.optional(),
  labels: KeyValues.optional(),
  name: objectName.optional(),
});

/** A top-level network; null takes every default. */
export const NetworkModel = byKind({
  null: z.null().transform((): z.infer<typeof NetworkFields> => ({})),
  mapping: NetworkFields,
});
export type NetworkModel = z.infer<typeof NetworkModel>;
