import { parseAllDocuments } from "yaml";
import {
  type ComposeValues,
  type Conversion,
  type ConvertedFile,
  compact,
  Fields,
} from "./conversion.ts";
import {
  convertKubernetesContainer,
  memoryOf,
  type PodNames,
  type PodVolume,
} from "./kubernetes-container.ts";

const documentsMax = 256;

type Output = {
  readonly services: Record<string, ComposeValues>;
  readonly volumes: Record<string, unknown>;
  readonly configs: Record<string, unknown>;
};

/** Pods and Deployments of Kubernetes, with the ConfigMaps beside them, as one Compose file. Throws for what is no YAML. */
export function convertKubernetes(files: readonly ConvertedFile[]): Conversion {
  const notes: string[] = [];
  const objects = files.flatMap(({ name, text }) => readObjects(name, text));
  const configMaps = new Map(objects.flatMap(({ value }) => configMapOf(value)));
  const output: Output = { services: {}, volumes: {}, configs: {} };
  for (const { place, value } of objects) {
    const object = new Fields(place, value, notes);
    const kind = object.text("kind");
    object.take("apiVersion");
    if (kind === "ConfigMap") continue;
    if (kind === "Pod" || kind === "Deployment")
      convertWorkload({ kind, object, configMaps, output });
    else if (kind === "PersistentVolumeClaim")
      object.note("kind", "its size and class are lost: the volume is a directory of the host");
    else
      object.note(
        "kind",
        `${kind ?? "an object without a kind"}: only Pod, Deployment and ConfigMap can be converted`,
      );
  }
  return { compose: compact(output), notes };
}

function readObjects(file: string, text: string) {
  const documents = parseAllDocuments(text, { maxAliasCount: 100, logLevel: "silent" } as object);
  if (!Array.isArray(documents)) return [];
  if (documents.length > documentsMax)
    throw new Error(`cannot convert ${file} because it has more than ${documentsMax} documents`);
  return documents.flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined)
      throw new Error(`cannot convert ${file} because it is not valid YAML: ${error.message}`);
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    const items = isList(value) ? value.items : [value];
    return items
      .filter((item) => item !== null && item !== undefined)
      .map((item, index) => ({ place: `${file}#${nameOf(item) ?? index}`, value: item }));
  });
}

function isList(value: unknown): value is { readonly items: readonly unknown[] } {
  return (
    typeof value === "object" && value !== null && "items" in value && Array.isArray(value.items)
  );
}

function nameOf(value: unknown): string | undefined {
  return new Fields("", value, []).within("metadata").text("name");
}

function configMapOf(value: unknown): readonly (readonly [string, ReadonlyMap<string, string>])[] {
  const object = new Fields("", value, []);
  const name = nameOf(value);
  if (object.text("kind") !== "ConfigMap" || name === undefined) return [];
  const data = object.within("data");
  return [[name, new Map(data.keys.map((key) => [key, data.text(key) ?? ""]))]];
}

function convertWorkload({
  kind,
  object,
  configMaps,
  output,
}: {
  readonly kind: "Pod" | "Deployment";
  readonly object: Fields;
  readonly configMaps: PodNames["configMaps"];
  readonly output: Output;
}): void {
  const metadata = object.within("metadata");
  const name = metadata.text("name") ?? "app";
  const deployment = kind === "Deployment" ? object.within("spec") : undefined;
  const template = deployment?.within("template") ?? object;
  const labels =
    kind === "Pod" ? metadata.within("labels") : template.within("metadata").within("labels");
  const pod = template.within("spec");
  const volumes = volumesOf(pod, { configMaps, output });
  const shared = {
    ...sharedFields(pod),
    labels: Object.fromEntries(labels.keys.map((key) => [key, labels.text(key) ?? ""])),
  };
  const containers = pod.each("containers");
  const services = containers.map((container) => ({
    own: container.text("name") ?? "main",
    service: convertKubernetesContainer(container, { configMaps, volumes }),
  }));
  const names = services.map(({ own }) => (services.length === 1 ? name : `${name}-${own}`));
  const before = initServices(pod, { configMaps, volumes, output, name });
  for (const [index, { service }] of services.entries()) {
    const first = names[0] ?? name;
    const joins = index === 0 ? {} : { network_mode: `service:${first}` };
    const replicas = Number(deployment?.text("replicas") ?? 1);
    if (replicas > 1 && services.length > 1 && index === 0)
      deployment?.note("replicas", `${replicas}: containers that share a network have one replica`);
    output.services[names[index] ?? first] = compact({
      ...service,
      ...shared,
      ...joins,
      scale: replicas > 1 && services.length === 1 ? replicas : undefined,
      depends_on:
        before === undefined
          ? undefined
          : { [before]: { condition: "service_completed_successfully" } },
    });
  }
  for (const key of ["selector", "revisionHistoryLimit", "progressDeadlineSeconds"])
    deployment?.take(key);
  for (const key of ["namespace", "creationTimestamp", "uid", "labels"]) metadata.take(key);
  template.take("metadata");
  for (const part of [metadata, pod, deployment, object]) part?.done();
}

/** Init containers run one after the other; the last one's name is what the others wait for. */
function initServices(
  pod: Fields,
  { name, output, ...names }: PodNames & { readonly name: string; readonly output: Output },
): string | undefined {
  let before: string | undefined;
  for (const container of pod.each("initContainers")) {
    const own = `${name}-${container.text("name") ?? "init"}`;
    output.services[own] = compact({
      ...convertKubernetesContainer(container, names),
      restart: "on-failure",
      depends_on:
        before === undefined
          ? undefined
          : { [before]: { condition: "service_completed_successfully" } },
    });
    before = own;
  }
  return before;
}

const restarts: Readonly<Record<string, string>> = {
  Always: "always",
  OnFailure: "on-failure",
  Never: "no",
};

function sharedFields(pod: Fields): ComposeValues {
  const grace = pod.text("terminationGracePeriodSeconds");
  const security = pod.within("securityContext");
  const [user, group] = [security.text("runAsUser"), security.text("runAsGroup")];
  const sysctls = security
    .each("sysctls")
    .map((entry) => [entry.text("name") ?? "", entry.text("value") ?? ""]);
  security.take("runAsNonRoot");
  const host = (key: string) => (pod.flag(key) === true ? "host" : undefined);
  const fields = compact({
    restart: restarts[pod.text("restartPolicy") ?? "Always"],
    hostname: pod.text("hostname"),
    network_mode: host("hostNetwork"),
    pid: host("hostPID"),
    ipc: host("hostIPC"),
    stop_grace_period: grace === undefined ? undefined : `${grace}s`,
    extra_hosts: pod.each("hostAliases").flatMap((alias) => {
      const address = alias.text("ip");
      return (alias.texts("hostnames") ?? []).map((name) => `${name}=${address}`);
    }),
    user: user === undefined || group === undefined ? user : `${user}:${group}`,
    group_add: security.texts("supplementalGroups"),
    sysctls: Object.fromEntries(sysctls),
  });
  security.done();
  return fields;
}

function volumesOf(
  pod: Fields,
  { configMaps, output }: { readonly configMaps: PodNames["configMaps"]; readonly output: Output },
): ReadonlyMap<string, PodVolume> {
  const volumes = new Map<string, PodVolume>();
  const named = (source: string): PodVolume => {
    output.volumes[source] = {};
    return { kind: "source", source, isNamed: true };
  };
  for (const volume of pod.each("volumes")) {
    const name = volume.text("name") ?? "";
    const path = volume.within("hostPath");
    const empty = volume.take("emptyDir");
    const claim = volume.within("persistentVolumeClaim").text("claimName");
    const map = volume.within("configMap");
    const source = path.text("path");
    if (source !== undefined) {
      path.take("type");
      volumes.set(name, { kind: "source", source, isNamed: false });
    } else if (claim !== undefined) volumes.set(name, named(claim));
    else if (empty !== undefined)
      volumes.set(
        name,
        emptyVolume(empty, () => named(name)),
      );
    else if (map.keys.length > 0) volumes.set(name, configVolume(map, { configMaps, output }));
    volume.done("put its content into a config, a secret or a volume");
  }
  return volumes;
}

function emptyVolume(value: unknown, named: () => PodVolume): PodVolume {
  const fields = new Fields("", value, []);
  const sizeLimit = fields.text("sizeLimit");
  return fields.text("medium") === "Memory"
    ? { kind: "memory", sizeLimit: memoryOf(sizeLimit) }
    : named();
}

function configVolume(
  map: Fields,
  { configMaps, output }: { readonly configMaps: PodNames["configMaps"]; readonly output: Output },
): PodVolume {
  const name = map.text("name") ?? "";
  const found = configMaps.get(name);
  map.take("defaultMode");
  if (found === undefined) {
    map.note("name", `the ConfigMap ${name} is not in the file`);
    return { kind: "none" };
  }
  const items = map
    .each("items")
    .map((item) => [item.text("key") ?? "", item.text("path") ?? ""] as const);
  const chosen = items.length > 0 ? items : [...found.keys()].map((key) => [key, key] as const);
  const files = chosen.map(([key, path]) => {
    const config = `${name}_${key}`.replaceAll(/[^a-zA-Z0-9._-]/g, "_");
    output.configs[config] = { content: found.get(key) ?? "" };
    return { config, path };
  });
  return { kind: "configs", files };
}
