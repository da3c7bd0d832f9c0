import { z } from "zod";
import { byKind } from "./by-kind.ts";
import { ObjectName } from "./object-name.ts";
import { Flag } from "./values.ts";

export type External = { readonly isExternal: boolean; readonly name?: string };

/** `external: true`, or the old form `external: {name: NAME}`. */
export const External = byKind({
  boolean: z.boolean().transform((isExternal): External => ({ isExternal })),
  string: Flag.transform((isExternal): External => ({ isExternal })),
  mapping: z
    .strictObject({ name: ObjectName.optional() })
    .transform(({ name }): External => ({ isExternal: true, ...(name ? { name } : {}) })),
});
