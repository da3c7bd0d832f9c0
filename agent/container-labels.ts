/** What the agent writes on its containers, networks and volumes to know them again. */
export type ContainerIdentity = {
  readonly app: string;
  readonly service: string;
  readonly replica: number;
  /** The revision that made it. */
  readonly revision: string;
  readonly specDigest: string;
  /** Services of the same app that it depends on: the order in which they are stopped once they left git. */
  readonly dependsOn: readonly string[];
  /** Time between the stop signal and SIGKILL once the service left git. */
  readonly stopGraceMs: number;
};

export const appLabel = "io.berth.app";
const serviceLabel = "io.berth.service";
const replicaLabel = "io.berth.replica";
const revisionLabel = "io.berth.revision";
export const specDigestLabel = "io.berth.spec-digest";
const dependsOnLabel = "io.berth.depends-on";
const stopGraceLabel = "io.berth.stop-grace-ms";

const stopGraceMsDefault = 10_000;

/** Also Compose's own labels, which existing dashboards group by. */
export function containerLabels(identity: ContainerIdentity): Record<string, string> {
  return {
    [appLabel]: identity.app,
    [serviceLabel]: identity.service,
    [replicaLabel]: String(identity.replica),
    [revisionLabel]: identity.revision,
    [specDigestLabel]: identity.specDigest,
    [dependsOnLabel]: identity.dependsOn.join(","),
    [stopGraceLabel]: String(identity.stopGraceMs),
    "com.docker.compose.project": identity.app,
    "com.docker.compose.service": identity.service,
    "com.docker.compose.container-number": String(identity.replica),
  };
}

/** The same labels of a container that another revision says the same of. */
export function withRevisionLabel(
  labels: Readonly<Record<string, string>>,
  revision: string,
): Readonly<Record<string, string>> {
  return { ...labels, [revisionLabel]: revision };
}

/** Undefined for a container that the agent did not make. */
export function readContainerLabels(
  labels: Readonly<Record<string, string>>,
): ContainerIdentity | undefined {
  const app = labels[appLabel];
  const service = labels[serviceLabel];
  const replica = Number(labels[replicaLabel]);
  const specDigest = labels[specDigestLabel];
  if (app === undefined || service === undefined || specDigest === undefined) return undefined;
  if (!Number.isSafeInteger(replica)) return undefined;
  return {
    app,
    service,
    replica,
    revision: labels[revisionLabel] ?? "",
    specDigest,
    dependsOn: (labels[dependsOnLabel] ?? "").split(",").filter((name) => name !== ""),
    stopGraceMs: Number(labels[stopGraceLabel] ?? stopGraceMsDefault) || 0,
  };
}

/** The labels that the user gave, without the agent's own. */
export function userLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels).filter(
      ([key]) => !key.startsWith("io.berth.") && !key.startsWith("com.docker.compose."),
    ),
  );
}
