/** Routes of `RunControl`. */
import { z } from "zod";
import { NameBody, Nothing } from "./requests.ts";
import { answer, type Route } from "./route.ts";

const RunBody = z.strictObject({
  name: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9_-]{0,62}$/,
      "a name of up to 63 lower-case letters, digits, dashes and underscores is expected",
    ),
  compose: z.record(z.string(), z.unknown()),
  pull: z.enum(["missing", "always", "never"]).default("missing"),
});
const RemoveBody = NameBody.extend({ force: z.boolean().default(false) });
const AdoptBody = NameBody.extend({ showSecrets: z.boolean().default(false) });

export const runRoutes: readonly (readonly [string, Route])[] = [
  ["POST /v1/run", answer(RunBody, ({ control, abort }, request) => control.run(request, abort))],
  [
    "POST /v1/rm",
    answer(RemoveBody, ({ control, abort }, { name, force }) =>
      control.remove(name, { force }, abort),
    ),
  ],
  [
    "POST /v1/adopt",
    answer(AdoptBody, ({ control }, { name, showSecrets }) => control.adopt(name, { showSecrets })),
  ],
  ["GET /v1/by-hand", answer(Nothing, ({ control }) => control.byHand())],
];
