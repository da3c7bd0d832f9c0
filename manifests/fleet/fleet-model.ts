import { posix } from "node:path";
import { z } from "zod";
import { byKind, grammar, mapOf } from "../compose/by-kind.ts";
import { isRecipient } from "../secrets/age.ts";
import { parseHostSelector } from "./host-selector.ts";
import { parseLabelExpression } from "./label-expression.ts";

/** What a host may be called: as `hostname` prints it, or any name that --host gives. */
function isHostName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/.test(text);
}

/** A path below a directory, without `.`, `..` and doubled slashes; `.` is the directory itself. */
const RelativePath = grammar({
  parse: (text) => {
    const path = posix.normalize(text).replace(/\/$/, "");
    const leaves = path.startsWith("/") || path === ".." || path.startsWith("../");
    return leaves || text === "" || text.includes("\\") ? undefined : path;
  },
  expected: "a path that stays below its directory, with / between names",
});

const Profile = grammar({
  parse: (text) => (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(text) ? text : undefined),
  expected: "the name of a profile: letters, digits, _ . -",
});

const Variables = checkedKeys(
  z.string(),
  (text) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(text),
  "a variable's name: letters, digits and _, no digit first",
);

const Labels = checkedKeys(
  z.string(),
  (text) => /^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,251}[A-Za-z0-9])?$/.test(text),
  "a label's name: letters, digits, . _ - /",
);

const layer = {
  environment: Variables.optional(),
  files: z.array(RelativePath).max(64).optional(),
  profiles: z.array(Profile).max(64).optional(),
};

/** What holds for some hosts on top of what holds for all. */
const FleetLayer = byKind({ mapping: z.strictObject(layer) });
export type FleetLayer = z.infer<typeof FleetLayer>;

const HostSelector = grammar({
  parse: parseHostSelector,
  expected:
    "a host's name, a glob such as web*, or an expression over labels such as role=web,site!=ams",
});
const HostSelectors = byKind({
  string: HostSelector.transform((selector) => [selector]),
  list: z.array(HostSelector).max(256),
});

const FleetApp = byKind({
  null: z.null().transform((): z.infer<typeof AppFields> => ({})),
  mapping: z.lazy(() => AppFields),
});
const AppFields = z.strictObject({
  ...layer,
  path: RelativePath.optional(),
  after: z.array(z.string()).max(256).optional(),
  hosts: HostSelectors.optional(),
  byLabel: checkedKeys(
    FleetLayer,
    (text) => parseLabelExpression(text) !== undefined,
    "an expression over labels such as role=web,site!=ams",
  ).optional(),
  byHost: checkedKeys(FleetLayer, isHostName, "a host's name").optional(),
});
export type FleetApp = z.infer<typeof AppFields>;

const Recipient = grammar({
  parse: (text) => (isRecipient(text) ? text : undefined),
  expected: "an age recipient: age1…, as `berth secrets keygen` prints it",
});

const HostFields = z.strictObject({
  labels: Labels.optional(),
  recipient: Recipient.optional(),
  variables: Variables.optional(),
});
const FleetHost = byKind({
  null: z.null().transform((): z.infer<typeof HostFields> => ({})),
  mapping: HostFields,
});
export type FleetHost = z.infer<typeof HostFields>;

/** `berth.yaml`: which host runs what, and how it differs there. */
export const FleetModel = z.strictObject({
  apps: checkedKeys(
    FleetApp,
    (text) => /^[a-z0-9][a-z0-9_-]{0,62}$/.test(text),
    "a name for an app: lower-case letters, digits, - and _, at most 63",
  ),
  hosts: checkedKeys(FleetHost, isHostName, "a host's name").optional(),
  defaults: z
    .strictObject({
      environment: Variables.optional(),
      hosts: HostSelectors.optional(),
      profiles: layer.profiles,
    })
    .optional(),
  secrets: z.strictObject({ recipients: z.array(Recipient).max(256).optional() }).optional(),
  rollout: z
    .strictObject({
      atomic: z.enum(["app", "revision"], { error: "app or revision is expected" }).optional(),
    })
    .optional(),
});
export type FleetModel = z.infer<typeof FleetModel>;

/** Values that stand below this key are text as it is written: `1.10` stays `1.10`. */
export function isTextMapping(key: string): boolean {
  return key === "environment" || key === "variables" || key === "labels";
}

/** A mapping whose keys follow a grammar too; wrong keys and wrong values are told together. */
function checkedKeys<Value>(
  value: z.ZodType<Value>,
  isKey: (text: string) => boolean,
  expected: string,
) {
  const values = mapOf(value);
  return byKind({
    mapping: z
      .custom<Readonly<Record<string, unknown>>>()
      .transform((mapping, context): ReadonlyMap<string, Value> => {
        for (const key of Object.keys(mapping)) {
          if (isKey(key)) continue;
          const message = `${JSON.stringify(key)} is not ${expected}`;
          context.addIssue({ code: "custom", message, path: [key] });
        }
        const result = values.safeParse(mapping);
        if (result.success) return result.data;
        for (const issue of result.error.issues) {
          // A finished issue has all that a raw one needs but the input.
          context.addIssue({ ...issue, input: mapping } as z.core.$ZodSuperRefineIssue);
        }
        return z.NEVER;
      }),
  });
}
