import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { KeyRule, Section } from "../../manifests/compose/section.ts";
import { composeFile, service } from "../../manifests/compose/sections.ts";
import { formatDiagnostic } from "../../manifests/diagnostics.ts";
import { compile } from "./compile.ts";

const data = join(import.meta.dirname, "../../../shared/compose");

/** True when the data of others, which lies beside the checkout and is no part of it, is not there: the test skips. */
function isMissing(t: ExecutionContext, path: string): boolean {
  if (existsSync(path)) return false;
  t.log(`skipped: ${path} is missing`);
  t.pass();
  return true;
}

test("Compose files that people use compile, or are refused for what is not supported", async (t) => {
  const corpus = join(data, "corpus");
  if (isMissing(t, corpus)) return;
  const projects = readdirSync(corpus);
  t.true(projects.length >= 20);
  for (const project of projects) {
    const files: Record<string, Uint8Array> = {};
    for (const name of readdirSync(join(corpus, project)))
      files[`${project}/${name}`] = readFileSync(join(corpus, project, name));
    const result = await compile(files);
    const errors = result.ok ? [] : result.errors.map(formatDiagnostic);
    // The folder holds no files but the Compose files.
    const other = / there is no "\S+" in the revision: (?:add|encrypt) it /;
    t.deepEqual(
      errors
        .filter((error) => !/^[^:]+:\d+:\d+: not supported by berth: \S+: ./.test(error))
        .filter((error) => !other.test(error)),
      [],
      project,
    );
  }
});

type Schema = { properties?: Record<string, unknown>; definitions: Record<string, Schema> };

test("the table of keys holds exactly the keys of the official schema", (t) => {
  const path = join(data, "compose-spec.json");
  if (isMissing(t, path)) return;
  const schema = JSON.parse(readFileSync(path, "utf8")) as Schema;
  const pairs: [Section | undefined, unknown][] = [
    [composeFile, schema],
    [service, schema.definitions.service],
    [within(composeFile, "volumes"), schema.definitions.volume],
    [within(composeFile, "networks"), schema.definitions.network],
    [within(service, "deploy"), schema.definitions.deployment],
    [within(service, "healthcheck"), schema.definitions.healthcheck],
    [within(service, "ports"), nested(schema.definitions.service, "ports")],
    [within(service, "volumes"), nested(schema.definitions.service, "volumes")],
    [within(service, "networks"), nested(schema.definitions.service, "networks")],
    [within(service, "depends_on"), nested(schema.definitions.service, "depends_on")],
  ];
  for (const [section, definition] of pairs) {
    const keys = [...(section?.accepted.keys() ?? []), ...(section?.refused.keys() ?? [])];
    // The schema lets extensions stand by a pattern, not by name.
    const standard = keys.filter((key) => !key.startsWith("x-"));
    t.deepEqual(
      standard.toSorted(),
      Object.keys((definition as Schema).properties ?? {}).toSorted(),
    );
  }
});

function within(section: Section, key: string): Section | undefined {
  const rule: KeyRule | undefined = section.accepted.get(key);
  if (rule === undefined || typeof rule === "string") return undefined;
  if ("one" in rule) return rule.one;
  return "listOf" in rule ? rule.listOf : rule.mapOf;
}

/** The first object schema with properties below a property of a definition. */
function nested(definition: Schema | undefined, key: string): unknown {
  const pending: unknown[] = [definition?.properties?.[key]];
  for (const value of pending) {
    if (typeof value !== "object" || value === null) continue;
    if ("properties" in value) return value;
    pending.push(...Object.values(value));
  }
  return undefined;
}
