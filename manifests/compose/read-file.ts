import type { z } from "zod";
import type { Report } from "../diagnostics.ts";
import type { MappingNode, Node, Path } from "../yaml/node.ts";
import { describeNode } from "../yaml/node.ts";
import { checkModel } from "./check-model.ts";
import { ConfigModel, SecretModel } from "./grant-model.ts";
import { resolveContainers } from "./named-containers.ts";
import { NetworkModel } from "./network-model.ts";
import { readSection } from "./read-section.ts";
import { composeFile } from "./sections.ts";
import { ServiceModel } from "./service-model.ts";
import { VolumeModel } from "./volume-model.ts";

/** A checked Compose file. What was wrong is reported and stands here as undefined. */
export type FileModel = {
  /** The interpolated document, for positions. */
  readonly root: MappingNode;
  readonly services: ReadonlyMap<string, ServiceModel | undefined>;
  readonly volumes: ReadonlyMap<string, VolumeModel | undefined>;
  readonly networks: ReadonlyMap<string, NetworkModel | undefined>;
  readonly configs: ReadonlyMap<string, ConfigModel | undefined>;
  readonly secrets: ReadonlyMap<string, SecretModel | undefined>;
};

/**
 * Checks an interpolated document: keys, kinds, grammars. What needs more than one value comes
 * later.
 */
export function readFile({
  root,
  report,
}: {
  readonly root: Node;
  readonly report: Report;
}): FileModel | undefined {
  if (root.kind !== "mapping") {
    report.error(root.at, `a mapping with services is expected, not ${describeNode(root)}`);
    return undefined;
  }
  const values = readSection({ node: root, section: composeFile, path: [], report });
  const version = root.entries.get("version");
  if (version !== undefined)
    report.warn(version.keyAt, "version: Compose has no use for this key any more, remove it");
  if (!("services" in values)) report.error(root.at, "services is missing");
  const read = { values, root, report };
  return {
    root,
    services: resolveContainers(
      readNamed({ ...read, key: "services", schema: ServiceModel }),
      root,
      report,
    ),
    volumes: readNamed({ ...read, key: "volumes", schema: VolumeModel }),
    networks: readNamed({ ...read, key: "networks", schema: NetworkModel }),
    configs: readNamed({ ...read, key: "configs", schema: ConfigModel }),
    secrets: readNamed({ ...read, key: "secrets", schema: SecretModel }),
  };
}

/** The named things below one top-level key. */
function readNamed<Model>({
  values,
  key,
  schema,
  root,
  report,
}: {
  readonly values: Readonly<Record<string, unknown>>;
  readonly key: string;
  readonly schema: z.ZodType<Model>;
  readonly root: MappingNode;
  readonly report: Report;
}): ReadonlyMap<string, Model | undefined> {
  const models = new Map<string, Model | undefined>();
  const node = root.entries.get(key)?.value;
  if (node === undefined) return models;
  if (node.kind !== "mapping") {
    report.error(node.at, `${key}: a mapping is expected, not ${describeNode(node)}`);
    return models;
  }
  const named = values[key] as Readonly<Record<string, unknown>>; // the node is a mapping
  for (const [name, entry] of node.entries) {
    const path: Path = [key, name];
    if (!/^[a-zA-Z0-9._-]{1,63}$/.test(name)) {
      const message = `${key}: ${JSON.stringify(name)} is not a name: letters, digits, . _ - are expected, 63 at most`;
      report.error(entry.keyAt, message);
      continue;
    }
    models.set(name, checkModel({ schema, values: named[name], root, path, report }));
  }
  return models;
}
