import type { z } from "zod";
import { byKind, grammar } from "./by-kind.ts";

/** A project name as Compose takes it. */
export const AppName = byKind({
  string: grammar({
    parse: (text) => (/^[a-z0-9][a-z0-9_-]{0,62}$/.test(text) ? text : undefined),
    expected:
      "a name for an app: lower-case letters, digits, - and _, beginning with a letter or digit",
  }),
});
export type AppName = z.infer<typeof AppName>;
