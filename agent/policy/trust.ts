import { z } from "zod";
import { isInlinePem } from "../../runtime/trust/trusted-key.ts";

const host =
  "(?:[a-z0-9-]+(?:\\.[a-z0-9-]+)+(?::\\d{1,5})?|[a-z0-9-]+:\\d{1,5}|localhost|\\[[0-9a-f:]+\\](?::\\d{1,5})?)";
const expectedPrefix =
  "expected the beginning of a full reference, such as docker.io/library or registry.example:5000/team";
const Prefix = z
  .string()
  .max(255)
  .regex(new RegExp(`^${host}(?:/[a-z0-9._-]+)*$`), expectedPrefix);

const Key = z
  .string()
  .max(65_536)
  .refine(
    (text) => isInlinePem(text) || text.startsWith("/"),
    "expected an absolute path or a PEM public key",
  );

const Rule = z.union(
  [
    z.enum(["accept", "reject"]),
    z.strictObject({ keys: z.array(Key).min(1).max(32), signedAs: Prefix.optional() }),
  ],
  "expected accept, reject, or keys: [FILE, ...]",
);

/** Which images may be pulled: a rule for each prefix of full references, the longest wins. */
export const Trust = z.strictObject({
  default: Rule.default("accept"),
  prefixes: z
    .record(Prefix, Rule, {
      error: ({ code }) => (code === "invalid_key" ? expectedPrefix : undefined),
    })
    .default({}),
});
