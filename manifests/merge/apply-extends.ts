import { posix } from "node:path";
import { repositoryPath } from "../compose/read-app-file.ts";
import type { Lookup } from "../compose/template.ts";
import { suggestion } from "../nearest-name.ts";
import type { Entry, MappingNode, Node } from "../yaml/node.ts";
import { describeNode } from "../yaml/node.ts";
import type { DocumentReader } from "./load-documents.ts";
import { mergeNodes, withoutMarks } from "./merge-nodes.ts";
import type { Place } from "./place.ts";
import { relocate } from "./relocate.ts";
import { isRemote, remoteMessage } from "./remote-file.ts";

type Request = {
  readonly reader: DocumentReader;
  readonly document: MappingNode;
  readonly place: Place;
  readonly lookup: Lookup;
};

/** The document with each service merged over the one that it extends (Compose Specification, "extends"). */
export async function applyExtends(request: Request): Promise<MappingNode> {
  const services = request.document.entries.get("services");
  if (services?.value.kind !== "mapping") return request.document;
  const resolver = new ExtendsResolver(request);
  const entries = new Map<string, Entry>();
  const { path } = resolver.own;
  for (const [name, entry] of services.value.entries) {
    const value = await resolver.resolve({ ...resolver.own, name, node: entry.value }, []);
    entries.set(name, { ...entry, value });
  }
  if (path === undefined) return request.document;
  const merged = { ...services, value: { ...services.value, entries } };
  return {
    ...request.document,
    entries: new Map(request.document.entries).set("services", merged),
  };
}

/** The services of one file, whose relative paths begin at its directory. */
type Source = {
  readonly path: string;
  readonly directory: string;
  readonly services: MappingNode;
};
type Subject = Source & { readonly name: string; readonly node: Node };

const chainMax = 32;

class ExtendsResolver {
  readonly own: Source;
  readonly #request: Request;

  constructor(request: Request) {
    this.#request = request;
    const { document, place } = request;
    const services = document.entries.get("services")?.value;
    this.own = {
      path: place.trail.at(-1) ?? "",
      directory: place.directory,
      services:
        services?.kind === "mapping"
          ? services
          : { kind: "mapping", entries: new Map(), at: document.at },
    };
  }

  async resolve(subject: Subject, chain: readonly string[]): Promise<Node> {
    const { node, name, path } = subject;
    const entry = node.kind === "mapping" ? node.entries.get("extends") : undefined;
    if (node.kind !== "mapping" || entry === undefined) return node;
    const { report } = this.#request.reader;
    const link = `${name} (${path})`;
    const rest = withoutExtends(node);
    if (!chain.includes(link) && chain.length >= chainMax) {
      const message = `services.${name}.extends: more than ${chainMax} services extend one another in a row`;
      report.error(entry.keyAt, message);
      return rest;
    }
    if (chain.includes(link)) {
      const circle = [...chain.slice(chain.indexOf(link)), link].join(" -> ");
      report.error(entry.keyAt, `services.${name}.extends goes round in a circle: ${circle}`);
      return rest;
    }
    const base = await this.#base(subject, entry.value);
    if (base === undefined) return rest;
    const resolved = await this.resolve(base, [...chain, link]);
    const plain = withoutMarks(resolved);
    const moved =
      base.directory === subject.directory
        ? plain
        : relocate(plain, ["services", base.name], {
            from: base.directory,
            to: subject.directory,
          });
    return mergeNodes({ base: moved, over: rest, path: ["services", name], report });
  }

  /** What the `extends` of a service leads to. */
  async #base(subject: Subject, wish: Node): Promise<Subject | undefined> {
    const { reader, lookup } = this.#request;
    const { report } = reader;
    const place = `services.${subject.name}.extends`;
    const fields = wish.kind === "mapping" ? wish.entries : new Map<string, Entry>();
    if (wish.kind !== "mapping")
      report.error(wish.at, `${place}: a service's name or a mapping is expected`);
    for (const [key, { keyAt }] of fields) {
      if (key === "service" || key === "file" || key.startsWith("x-")) continue;
      report.error(keyAt, `${place}.${key}: Compose knows no such key`);
    }
    const name = this.#text(fields, "service", place, wish);
    if (name === undefined) return undefined;
    const file = fields.get("file");
    const source =
      file === undefined
        ? this.#sourceOf(subject)
        : await this.#fileOf(subject, file, place, lookup);
    const node = source?.services.entries.get(name)?.value;
    if (source === undefined) return undefined;
    if (node !== undefined) return { ...source, name, node };
    const where = file === undefined ? "" : ` in ${source.path}`;
    const hint = suggestion(name, source.services.entries.keys());
    const at = fields.get("service")?.value.at ?? wish.at;
    report.error(at, `${place}: there is no service "${name}"${where}${hint}`);
    return undefined;
  }

  #sourceOf({ path, directory, services }: Subject): Source {
    return { path, directory, services };
  }

  async #fileOf(
    { directory }: Subject,
    entry: Entry,
    place: string,
    lookup: Lookup,
  ): Promise<Source | undefined> {
    const { reader } = this.#request;
    const { value } = entry;
    if (value.kind !== "scalar" || typeof value.value !== "string") {
      reader.report.error(
        value.at,
        `${place}.file: a path is expected, not ${describeNode(value)}`,
      );
      return undefined;
    }
    const path = repositoryPath(directory, value.text);
    if (isRemote(value.text) || path === undefined) {
      reader.report.error(value.at, remoteMessage(`${place}.file`, value.text));
      return undefined;
    }
    const documents = await reader.load(path, value.at, lookup);
    if (documents === undefined) return undefined;
    const merged = documents.reduce<Node | undefined>(
      (base, over) =>
        base === undefined ? over : mergeNodes({ base, over, path: [], report: reader.report }),
      undefined,
    );
    const services = merged?.kind === "mapping" ? merged.entries.get("services")?.value : undefined;
    if (services?.kind === "mapping") return { path, directory: posix.dirname(path), services };
    reader.report.error(value.at, `${place}.file: there are no services in ${path}`);
    return undefined;
  }

  #text(
    fields: ReadonlyMap<string, Entry>,
    key: string,
    place: string,
    wish: Node,
  ): string | undefined {
    const { report } = this.#request.reader;
    const value = fields.get(key)?.value;
    if (value?.kind === "scalar" && typeof value.value === "string") return value.text;
    if (value !== undefined)
      report.error(value.at, `${place}.${key}: a string is expected, not ${describeNode(value)}`);
    else if (wish.kind === "mapping") report.error(wish.at, `${place}: ${key} is missing`);
    return undefined;
  }
}

function withoutExtends(node: MappingNode): MappingNode {
  const entries = new Map(node.entries);
  entries.delete("extends");
  return { ...node, entries };
}
