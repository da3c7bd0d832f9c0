import { posix } from "node:path";
import { cleanPath } from "../compose/clean-path.ts";
import type { ServiceFiles } from "../compose/env-files.ts";
import type { Lookup } from "../compose/template.ts";
import type { MappingNode, Node } from "../yaml/node.ts";
import { isObject, type Json, plain } from "./kinds.ts";
import { resources, service as serviceKind } from "./model.ts";
import { usedResources } from "./used-resources.ts";

type Fields = { readonly [key: string]: Json };

export type CanonicalRequest = {
  readonly name: string;
  /** The merged document in long form, with its variables filled in. */
  readonly root: MappingNode;
  /** Services that are not held back by a profile. */
  readonly active: ReadonlySet<string>;
  readonly files: ReadonlyMap<string, ServiceFiles>;
  readonly lookup: Lookup;
  /** Goes before every relative path; an absolute directory, as Docker prints it. */
  readonly projectDirectory: string;
};

/**
 * An app as `docker compose config --format json` prints it: long forms, defaults that Compose writes out, files of
 * variables in `environment`, absolute paths, without what no service uses, `$$` for a dollar sign. Keys are sorted.
 */
export function canonicalApp(request: CanonicalRequest): Json {
  const { name, root, active, projectDirectory } = request;
  const services: Record<string, Json> = Object.create(null);
  for (const [key, node] of namedOf(root, "services")) {
    if (active.has(key)) services[key] = canonicalService(request, key, node);
  }
  const used = usedResources(services);
  const model: Record<string, Json> = { name, services: sorted(services) };
  for (const [section, kind] of Object.entries(resources)) {
    const declared = root.entries.get(section)?.value;
    const printed = declared === undefined ? {} : (kind(declared) ?? {});
    const named: Record<string, Json> = Object.create(null);
    for (const key of [...(used[section] ?? [])].sort()) {
      const fields = isObject(printed) ? printed[key] : undefined;
      if (fields === undefined && !(section === "networks" && key === "default")) continue;
      const own = isObject(fields) ? fields : section === "networks" ? { ipam: {} } : {};
      named[key] = withName({ own, key, app: name, node: nodeOf(declared, key), projectDirectory });
    }
    if (Object.keys(named).length > 0) model[section] = named;
  }
  for (const [key, { value }] of root.entries) {
    if (key.startsWith("x-")) model[key] = plain(value) ?? null;
  }
  return escapeDollars(sorted(model));
}

function namedOf(root: MappingNode, key: string): readonly (readonly [string, Node])[] {
  const node = root.entries.get(key)?.value;
  if (node?.kind !== "mapping") return [];
  return [...node.entries].map(([name, { value }]) => [name, value]);
}

function nodeOf(node: Node | undefined, key: string): Node | undefined {
  return node?.kind === "mapping" ? node.entries.get(key)?.value : undefined;
}

/** A resource is called by its key, with the app's name before it where the app owns it. */
function withName({
  own,
  key,
  app,
  node,
  projectDirectory,
}: {
  readonly own: Fields;
  readonly key: string;
  readonly app: string;
  readonly node: Node | undefined;
  readonly projectDirectory: string;
}): Json {
  const external = nodeOf(node, "external");
  const old = nodeOf(external, "name");
  const fallback = own.external === true ? key : `${app}_${key}`;
  const name = own.name ?? (old?.kind === "scalar" ? old.text : fallback);
  const { file } = own;
  const path = typeof file === "string" ? { file: absolute(file, projectDirectory) } : {};
  return sorted({ ...own, ...path, name });
}

function canonicalService(request: CanonicalRequest, key: string, node: Node): Json {
  const { files, lookup, projectDirectory } = request;
  const printed = serviceKind(node);
  if (!isObject(printed)) return {};
  const found = files.get(key);
  const result: Record<string, Json> = { ...printed };
  const environment: Record<string, Json> = Object.fromEntries(found?.environment ?? []);
  for (const [name, value] of Object.entries(fieldsOf(printed.environment)))
    environment[name] = value ?? lookup(name) ?? null;
  if (Object.keys(environment).length > 0) result.environment = sorted(environment);
  const labels = { ...Object.fromEntries(found?.labels ?? []), ...fieldsOf(printed.labels) };
  if (Object.keys(labels).length > 0) result.labels = sorted(labels);
  if (printed.network_mode === undefined && Object.keys(fieldsOf(printed.networks)).length === 0)
    result.networks = { default: null };
  if (printed.pull_policy === "if_not_present") result.pull_policy = "missing";
  if (isObject(printed.deploy) && printed.scale !== undefined)
    result.deploy = sorted({ replicas: printed.scale, ...printed.deploy });
  if (isObject(printed.build)) result.build = canonicalBuild(printed.build, request);
  if (Array.isArray(printed.volumes))
    result.volumes = printed.volumes.map((mount) => canonicalMount(mount, projectDirectory));
  if (Array.isArray(printed.secrets)) result.secrets = printed.secrets.map(canonicalSecret);
  if (isObject(printed.develop))
    result.develop = canonicalDevelop(printed.develop, projectDirectory);
  const dependsOn = { ...impliedDependencies(printed), ...fieldsOf(printed.depends_on) };
  if (Object.keys(dependsOn).length > 0) result.depends_on = sorted(dependsOn);
  return sorted(result);
}

function canonicalBuild(build: Fields, { lookup, projectDirectory }: CanonicalRequest): Json {
  const args = Object.entries(fieldsOf(build.args)).flatMap(([name, value]) => {
    const resolved = value ?? lookup(name);
    return resolved === undefined ? [] : [[name, resolved] as const];
  });
  const context = typeof build.context === "string" ? build.context : ".";
  const dockerfile =
    build.dockerfile === undefined && build.dockerfile_inline === undefined
      ? { dockerfile: "Dockerfile" }
      : {};
  const contexts = Object.entries(fieldsOf(build.additional_contexts)).map(
    ([name, from]) => [name, isLocal(from) ? absolute(from, projectDirectory) : from] as const,
  );
  const { args: _args, ...rest } = build;
  return sorted({
    ...rest,
    ...dockerfile,
    context: absolute(context, projectDirectory),
    ...(args.length === 0 ? {} : { args: Object.fromEntries(args) }),
    ...(contexts.length === 0 ? {} : { additional_contexts: Object.fromEntries(contexts) }),
  });
}

/** No URL, image or other service. */
function isLocal(from: unknown): from is string {
  return typeof from === "string" && !/^(?:[a-z][a-z0-9+.-]*:|git@)/i.test(from);
}

function canonicalDevelop(develop: Fields, projectDirectory: string): Json {
  if (!Array.isArray(develop.watch)) return develop;
  const watch = develop.watch.map((trigger: Json) =>
    isObject(trigger) && typeof trigger.path === "string"
      ? { ...trigger, path: absolute(trigger.path, projectDirectory) }
      : trigger,
  );
  return { ...develop, watch };
}

function canonicalMount(mount: Json, projectDirectory: string): Json {
  if (!isObject(mount)) return mount;
  const { source, target, type } = mount;
  return {
    ...mount,
    ...(typeof target === "string" ? { target: cleanPath(target) } : {}),
    ...(type === "bind" && typeof source === "string"
      ? { source: absolute(source, projectDirectory) }
      : {}),
  };
}

function canonicalSecret(mount: Json): Json {
  if (!isObject(mount) || mount.target !== undefined) return mount;
  return { ...mount, target: `/run/secrets/${String(mount.source)}` };
}

/** Whom a service needs without saying so in `depends_on`. */
function impliedDependencies(service: Fields): Fields {
  const started = { condition: "service_started", required: true };
  const implied: Record<string, Json> = Object.create(null);
  for (const borrowed of textsOf(service.volumes_from)) {
    if (!borrowed.startsWith("container:")) implied[borrowed.split(":", 1)[0] ?? ""] = started;
  }
  for (const field of ["network_mode", "ipc", "pid", "uts", "cgroup"]) {
    const value = service[field];
    if (typeof value === "string" && value.startsWith("service:"))
      implied[value.slice("service:".length)] = { ...started, restart: true };
  }
  for (const link of textsOf(service.links))
    implied[link.split(":", 1)[0] ?? ""] = { ...started, restart: true };
  return implied;
}

function absolute(path: string, projectDirectory: string): string {
  if (/^(?:~|[a-z][a-z0-9+.-]*:|git@)/i.test(path)) return path;
  return posix.isAbsolute(path) ? path : cleanPath(posix.join(projectDirectory, path));
}

function textsOf(json: Json | undefined): readonly string[] {
  return Array.isArray(json) ? json.filter((item) => typeof item === "string") : [];
}

function fieldsOf(json: Json | undefined): Fields {
  return isObject(json) ? json : {};
}

function sorted(fields: Fields): Json {
  return Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** So that the output, read as a Compose file again, means the same. */
function escapeDollars(json: Json): Json {
  if (typeof json === "string") return json.replaceAll("$", "$$$$");
  if (Array.isArray(json)) return json.map(escapeDollars);
  if (!isObject(json)) return json;
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => [key.replaceAll("$", "$$$$"), escapeDollars(value)]),
  );
}
