/** The part of JSON Schema (draft 7) that the official schema of Compose uses. */
export type Schema = {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly oneOf?: readonly Schema[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly uniqueItems?: boolean;
  readonly definitions?: Readonly<Record<string, Schema>>;
};

/** Whether the schema takes a value. `format` says nothing about strings that are variables: it is not looked at. */
export function takes(root: Schema, value: unknown, schema: Schema = root): boolean {
  if (schema.$ref !== undefined) {
    const target = root.definitions?.[schema.$ref.replace("#/definitions/", "")];
    if (target === undefined) throw new Error(`there is no ${schema.$ref} in the schema`);
    return takes(root, value, target);
  }
  const types = schema.type === undefined ? undefined : [schema.type].flat();
  if (types?.some((type) => isOfType(type, value)) === false) return false;
  if (schema.enum?.includes(value) === false) return false;
  if (schema.oneOf && schema.oneOf.filter((each) => takes(root, value, each)).length !== 1)
    return false;
  if (Array.isArray(value)) return takesItems(root, value, schema);
  if (typeof value === "object" && value !== null) return takesFields(root, value, schema);
  return true;
}

function takesItems(root: Schema, items: readonly unknown[], schema: Schema): boolean {
  const { items: each, uniqueItems } = schema;
  if (uniqueItems && new Set(items.map((item) => JSON.stringify(item))).size < items.length)
    return false;
  return each === undefined || items.every((item) => takes(root, item, each));
}

function takesFields(root: Schema, fields: object, schema: Schema): boolean {
  if (schema.required?.some((key) => !(key in fields))) return false;
  return Object.entries(fields).every(([key, value]) => {
    const own = schema.properties?.[key];
    const patterns = Object.entries(schema.patternProperties ?? {});
    const matching = patterns.filter(([pattern]) => new RegExp(pattern).test(key));
    const all = [...(own === undefined ? [] : [own]), ...matching.map(([, each]) => each)];
    if (all.length > 0) return all.every((each) => takes(root, value, each));
    const other = schema.additionalProperties ?? true;
    return typeof other === "boolean" ? other : takes(root, value, other);
  });
}

function isOfType(type: string, value: unknown): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}
