import { fc } from "@fast-check/ava";
import type { Schema } from "./json-schema.ts";

/** Texts of grammars that the schema does not know; the key that they stand under -> what is written there. */
const texts: ReadonlyMap<string, readonly string[]> = new Map([
  ["interval", ["10s", "1m30s"]],
  ["timeout", ["10s"]],
  ["start_period", ["1h"]],
  ["start_interval", ["500ms"]],
  ["stop_grace_period", ["1.5s"]],
  ["delay", ["5s"]],
  ["monitor", ["1m"]],
  ["window", ["2m"]],
  ["memory", ["64M"]],
  ["mem_limit", ["64m", "1.5g"]],
  ["mem_reservation", ["32m"]],
  ["memswap_limit", ["-1", "2g"]],
  ["shm_size", ["64m"]],
  ["size", ["1m"]],
  ["cpus", ["0.5"]],
  ["cpuset", ["0-1"]],
  ["image", ["example/app:1"]],
  ["ports", ["8080:80", "127.0.0.1:8443:443/udp"]],
  ["published", ["8081"]],
  ["target", ["/target"]],
  ["source", ["thing"]],
  ["volumes", ["thing:/data", "/srv:/srv:ro"]],
  ["tmpfs", ["/run"]],
  ["devices", ["/dev/null:/dev/x"]],
  ["cap_add", ["CHOWN"]],
  ["cap_drop", ["ALL"]],
  ["dns", ["192.0.2.1"]],
  ["subnet", ["10.98.0.0/24"]],
  ["gateway", ["10.98.0.1"]],
  ["ip_range", ["10.98.0.128/25"]],
  ["restart", ["no", "always", "on-failure:3"]],
  ["stop_signal", ["SIGINT"]],
  ["user", ["1000"]],
  ["working_dir", ["/work"]],
  ["environment", ["A=b", "C"]],
  ["labels", ["a=b"]],
  ["annotations", ["a=b"]],
  ["sysctls", ["net.core.somaxconn=512"]],
  ["expose", ["80", "90-91/udp"]],
  ["extra_hosts", ["other:192.0.2.1"]],
  ["group_add", ["10"]],
  ["depends_on", ["other"]],
  ["networks", ["thing"]],
  ["configs", ["thing"]],
  ["secrets", ["thing"]],
  ["mac_address", ["02:00:00:00:00:01"]],
  ["hostname", ["host"]],
  ["container_name", ["own-name"]],
  ["command", ["serve --all"]],
  ["pull_policy", ["missing", "daily"]],
  ["file", ["./file"]],
  ["content", ["text"]],
  ["path", ["a.env"]],
  ["env_file", ["a.env"]],
]);

/** Words that stand for all other texts. */
const words = ["x", "true", "7", "/x", "10s"];

/**
 * Values that a schema takes, but for what `oneOf` and patterns forbid beyond their parts; a few keys of each mapping.
 * `key`: the nearest one above.
 */
export function valuesOf(root: Schema, schema: Schema, key: string): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) {
    const target = root.definitions?.[schema.$ref.replace("#/definitions/", "")];
    if (target === undefined) throw new Error(`there is no ${schema.$ref} in the schema`);
    return valuesOf(root, target, key);
  }
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.oneOf !== undefined) {
    return fc.oneof(...schema.oneOf.map((each) => valuesOf(root, { ...each }, key)));
  }
  const types = [schema.type ?? "string"].flat();
  return fc.oneof(...types.map((type) => ofType(root, schema, { type, key })));
}

function ofType(
  root: Schema,
  schema: Schema,
  { type, key }: { readonly type: string; readonly key: string },
): fc.Arbitrary<unknown> {
  switch (type) {
    case "null":
      return fc.constant(null);
    case "boolean":
      return fc.boolean();
    case "integer":
      return fc.integer({ min: 1, max: 100 });
    case "number":
      return fc.constantFrom(1, 0.5, 64);
    case "array":
      return fc.uniqueArray(valuesOf(root, schema.items ?? {}, key), {
        maxLength: 2,
        selector: (item) => JSON.stringify(item),
      });
    case "object":
      return mappingOf(root, schema, key);
    default:
      return fc.constantFrom(...(texts.get(key) ?? words));
  }
}

/** Below free keys the key above still says what is meant. */
function mappingOf(root: Schema, schema: Schema, key: string): fc.Arbitrary<unknown> {
  const known = Object.entries(schema.properties ?? {}).map(
    ([name, each]) => [name, fc.option(valuesOf(root, each, name), { nil: undefined })] as const,
  );
  const required = new Set(schema.required);
  const free = Object.entries(schema.patternProperties ?? {}).find(([name]) => name !== "^x-")?.[1];
  const other = schema.additionalProperties;
  const values = free ?? (typeof other === "object" ? other : undefined);
  const named = fc
    .tuple(fc.infiniteStream(fc.nat({ max: 6 })), fc.tuple(...known.map(([, each]) => each)))
    .map(([dice, chosen]) =>
      Object.fromEntries(
        known.flatMap(([name], index) => {
          const value = chosen[index];
          const isTaken = required.has(name) || dice.next().value === 0 || known.length < 4;
          return value === undefined || !isTaken ? [] : [[name, value]];
        }),
      ),
    );
  if (values === undefined) return named;
  const entries = fc.dictionary(fc.constantFrom("other", "thing"), valuesOf(root, values, key), {
    maxKeys: 2,
  });
  return fc.tuple(named, entries).map(([own, more]) => ({ ...own, ...more }));
}

export const sections = ["service", "network", "volume", "config", "secret"] as const;

/** A document with one key of one section, and what that may name. */
export function documentWith(
  section: (typeof sections)[number],
  own: Readonly<Record<string, unknown>>,
) {
  const user = { network: { networks: ["x"] }, volume: { volumes: ["x:/x"] } };
  const grants = { config: { configs: ["x"] }, secret: { secrets: ["x"] } };
  const fields = section === "service" ? own : { ...user, ...grants }[section];
  const document = {
    services: { a: { image: "example/app:1", ...fields }, other: { image: "example/app:2" } },
    networks: { thing: {} },
    volumes: { thing: {} },
    configs: { thing: { content: "text" } },
    secrets: {},
  };
  if (section === "service") return document;
  const place = `${section}s` as const;
  return { ...document, [place]: { ...document[place], x: own } };
}
