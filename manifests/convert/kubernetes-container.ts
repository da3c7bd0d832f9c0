import { type ComposeValues, compact, type Fields } from "./conversion.ts";

/** What the containers of a Pod share with the rest of the file. */
export type PodNames = {
  /** ConfigMap -> key -> text. */
  readonly configMaps: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Volume of the Pod -> what mounts it: a source of a Compose volume, or why there is none. */
  readonly volumes: ReadonlyMap<string, PodVolume>;
};

export type PodVolume =
  | { readonly kind: "source"; readonly source: string; readonly isNamed: boolean }
  | { readonly kind: "memory"; readonly sizeLimit: string | undefined }
  | {
      readonly kind: "configs";
      readonly files: readonly { readonly config: string; readonly path: string }[];
    }
  | { readonly kind: "none" };

/** One container of a Pod as a Compose service. */
export function convertKubernetesContainer(container: Fields, names: PodNames): ComposeValues {
  container.take("name");
  const resources = container.within("resources");
  const limits = resources.within("limits");
  const requests = resources.within("requests");
  const security = container.within("securityContext");
  const service = compact({
    image: container.text("image"),
    entrypoint: container.texts("command"),
    command: container.texts("args"),
    working_dir: container.text("workingDir"),
    environment: environmentOf(container, names),
    tty: container.flag("tty"),
    stdin_open: container.flag("stdin"),
    pull_policy: pullPolicies[container.text("imagePullPolicy") ?? ""],
    mem_limit: memoryOf(limits.text("memory")),
    mem_reservation: memoryOf(requests.text("memory")),
    cpus: cpusOf(limits.text("cpu")),
    ...securityOf(security),
    healthcheck: healthcheckOf(container),
    ...mountsOf(container, names),
    ports: portsOf(container),
  });
  requests.text("cpu");
  for (const part of [limits, requests, security, resources]) part.done();
  container.done();
  return service;
}

const pullPolicies: Readonly<Record<string, string>> = {
  Always: "always",
  IfNotPresent: "missing",
  Never: "never",
};

function environmentOf(container: Fields, { configMaps }: PodNames): ComposeValues {
  const environment: Record<string, string> = {};
  for (const source of container.each("envFrom")) {
    const prefix = source.text("prefix") ?? "";
    const reference = source.within("configMapRef");
    const name = reference.text("name");
    const found = name === undefined ? undefined : configMaps.get(name);
    for (const [key, value] of found ?? []) environment[prefix + key] = value;
    if (name !== undefined && found === undefined)
      source.note("configMapRef", `the ConfigMap ${name} is not in the file`);
    source.done("put the values into environment, or mount a secret");
  }
  for (const variable of container.each("env")) {
    const name = variable.text("name") ?? "";
    const value = variable.text("value");
    const from = variable.within("valueFrom");
    const reference = from.within("configMapKeyRef");
    const [map, key] = [reference.text("name"), reference.text("key")];
    const text = value ?? configMaps.get(map ?? "")?.get(key ?? "");
    if (text !== undefined) environment[name] = text;
    else if (from.keys.length === 0) environment[name] = "";
    else if (map !== undefined) from.note("configMapKeyRef", `${map} has no ${key} in the file`);
    from.done("put the value into environment, or mount a secret");
    variable.done();
  }
  return environment;
}

/** `512Mi` -> `536870912b`, as Kubernetes counts. */
export function memoryOf(text: string | undefined): string | undefined {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)([KMGT]i?|k|m)?$/.exec(text ?? "") ?? [];
  if (number === "") return text;
  const powers: Readonly<Record<string, number>> = {
    m: 0.001,
    k: 1000,
    K: 1000,
    Ki: 2 ** 10,
    M: 1e6,
    Mi: 2 ** 20,
    G: 1e9,
    Gi: 2 ** 30,
    T: 1e12,
    Ti: 2 ** 40,
  };
  return `${Math.ceil(Number(number) * (powers[unit] ?? 1))}b`;
}

function cpusOf(text: string | undefined): string | undefined {
  const milli = /^(\d+)m$/.exec(text ?? "")?.[1];
  return milli === undefined ? text : String(Number(milli) / 1000);
}

function securityOf(security: Fields): ComposeValues {
  const [user, group] = [security.text("runAsUser"), security.text("runAsGroup")];
  const capabilities = security.within("capabilities");
  const escalation = security.flag("allowPrivilegeEscalation");
  security.take("runAsNonRoot");
  const fields = compact({
    user: user === undefined || group === undefined ? user : `${user}:${group}`,
    privileged: security.flag("privileged"),
    read_only: security.flag("readOnlyRootFilesystem"),
    cap_add: capabilities.texts("add"),
    cap_drop: capabilities.texts("drop"),
    security_opt: escalation === false ? ["no-new-privileges:true"] : undefined,
  });
  const profile = security.within("seccompProfile");
  const type = profile.text("type");
  if (type !== undefined && type !== "RuntimeDefault")
    security.note("seccompProfile", `${type}: set security_opt by hand`);
  capabilities.done();
  return fields;
}

/** The probe that decides whether it is ready; the other kinds say the same of a service, or are lost. */
function healthcheckOf(container: Fields): ComposeValues {
  for (const kind of ["readinessProbe", "livenessProbe", "startupProbe"] as const) {
    const probe = container.within(kind);
    if (probe.keys.length === 0) continue;
    const command = probe.within("exec").texts("command");
    if (command === undefined) {
      container.note(
        kind,
        "probes over HTTP, TCP and gRPC are not carried over: write x-berth.probe with http or tcp",
      );
      continue;
    }
    for (const other of ["readinessProbe", "livenessProbe", "startupProbe"] as const)
      if (other !== kind && container.within(other).keys.length > 0)
        container.note(other, `the service has the ${kind} as its healthcheck`);
    return compact({
      test: ["CMD", ...command],
      interval: secondsOf(probe.text("periodSeconds") ?? "10"),
      timeout: secondsOf(probe.text("timeoutSeconds") ?? "1"),
      retries: Number(probe.text("failureThreshold") ?? "3"),
      start_period: secondsOf(probe.text("initialDelaySeconds")),
    });
  }
  return {};
}

function secondsOf(text: string | undefined): string | undefined {
  return text === undefined ? undefined : `${text}s`;
}

function mountsOf(container: Fields, { volumes }: PodNames): ComposeValues {
  const entries: unknown[] = [];
  const configs: unknown[] = [];
  for (const mount of container.each("volumeMounts")) {
    const [name = "", target = "", only] = ["name", "mountPath", "subPath"].map((key) =>
      mount.text(key),
    );
    const readOnly = mount.flag("readOnly") === true;
    const volume = volumes.get(name);
    if (volume?.kind === "source") {
      const source =
        only === undefined || volume.isNamed ? volume.source : `${volume.source}/${only}`;
      if (only !== undefined && volume.isNamed) mount.note("subPath", "mount a volume of its own");
      entries.push(`${source}:${target}${readOnly ? ":ro" : ""}`);
    } else if (volume?.kind === "memory") {
      const tmpfs = compact({ size: volume.sizeLimit });
      entries.push(compact({ type: "tmpfs", target, tmpfs }));
    } else if (volume?.kind === "configs") {
      for (const { config, path } of volume.files) {
        if (only !== undefined && only !== path) continue;
        configs.push({ source: config, target: only === undefined ? `${target}/${path}` : target });
      }
    } else mount.note("name", `the volume ${name} could not be carried over`);
    mount.done();
  }
  return { volumes: entries, configs };
}

/** Only what the host listens on: within an app services reach each other anyway. */
function portsOf(container: Fields): readonly string[] {
  return container.each("ports").flatMap((port) => {
    const [inside, outside, address, protocol = "TCP"] = [
      "containerPort",
      "hostPort",
      "hostIP",
      "protocol",
    ].map((key) => port.text(key));
    port.take("name");
    port.done();
    if (outside === undefined) return [];
    const suffix = protocol === "TCP" ? "" : `/${protocol.toLowerCase()}`;
    return [`${address === undefined ? "" : `${address}:`}${outside}:${inside}${suffix}`];
  });
}
