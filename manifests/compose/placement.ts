import { grammar } from "./by-kind.ts";

/** A host as placement constraints see it. */
export type PlacementHost = {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
};

/** `node.labels.disk == ssd`, checked and kept as written (deploy.placement.constraints). */
export const Constraint = grammar({
  parse: (text) => (parseConstraint(text) === undefined ? undefined : text),
  expected:
    "a constraint: node.labels.NAME, node.hostname, node.role, node.platform.os or " +
    "node.platform.arch, == or !=, and a value",
});

/**
 * Whether a constraint holds on a host. A host of its own is a manager and a worker at once, so both
 * roles hold; a label that is not there equals nothing.
 */
export function holdsOn(constraint: string, host: PlacementHost): boolean {
  const parsed = parseConstraint(constraint);
  if (parsed === undefined) return false;
  const values = valuesOf(parsed.key, host);
  const matches = values.some((value) => value.toLowerCase() === parsed.value.toLowerCase());
  return parsed.equal ? matches : !matches;
}

type Parsed = { readonly key: string; readonly equal: boolean; readonly value: string };

function parseConstraint(text: string): Parsed | undefined {
  const parts =
    /^\s*(node\.(?:hostname|role|platform\.os|platform\.arch|labels\.[a-zA-Z0-9_./-]+))\s*(==|!=)\s*(\S(?:.*\S)?)\s*$/.exec(
      text,
    );
  const [, key, operator, value] = parts ?? [];
  if (key === undefined || value === undefined) return undefined;
  return { key, equal: operator === "==", value };
}

const architectures: Readonly<Record<string, readonly string[]>> = {
  x64: ["amd64", "x86_64"],
  arm64: ["arm64", "aarch64"],
};

function valuesOf(key: string, host: PlacementHost): readonly string[] {
  if (key === "node.hostname") return [host.name];
  if (key === "node.role") return ["manager", "worker"];
  if (key === "node.platform.os") return ["linux"];
  if (key === "node.platform.arch") return architectures[process.arch] ?? [process.arch];
  const value = host.labels.get(key.slice("node.labels.".length));
  return value === undefined ? [] : [value];
}
