import type { PublishedPort, Service } from "../desired-state.ts";
import type { Report } from "../diagnostics.ts";
import { locate, locateKey, type Path, type Position } from "../yaml/node.ts";
import { placeInList } from "./check-model.ts";
import type { LoadedApp } from "./load-app.ts";

/**
 * What only shows when all apps of a revision are seen together: names and host ports that two
 * of them want.
 */
export function checkRevision({
  loaded,
  report,
}: {
  readonly loaded: readonly LoadedApp[];
  readonly report: Report;
}): void {
  const byName = new Map<string, LoadedApp>();
  for (const app of loaded) {
    const first = byName.get(app.app.name);
    if (first === undefined) byName.set(app.app.name, app);
    else
      report.error(
        app.namedAt,
        `the app name "${app.app.name}" is taken by ${showPosition(first.namedAt)}: give one of them another name`,
      );
  }
  checkContainerNames({ loaded, report });
  checkNetworkNames({ loaded, report });
  checkPorts({ loaded, report });
}

/** A name of a container that a manifest gives is nobody else's, whether given or made from app and service. */
function checkContainerNames({
  loaded,
  report,
}: {
  readonly loaded: readonly LoadedApp[];
  readonly report: Report;
}): void {
  const owners = new Map<string, string>();
  for (const given of [false, true]) {
    for (const { app, file } of loaded) {
      for (const service of app.services) {
        if ((service.containerName !== undefined) !== given) continue;
        for (const name of containerNames(app.name, service)) {
          const owner = owners.get(name);
          const own = `${app.name}/${service.name}`;
          owners.set(name, own);
          if (owner === undefined || owner === own) continue;
          const path: Path = ["services", service.name, ...(given ? ["container_name"] : [])];
          const message = `${own}: the container name "${name}" is already that of ${owner}: give one of them another name`;
          report.error(locateKey(file.root, path), message);
        }
      }
    }
  }
}

/** A network has one owner; the others say that it is external. */
function checkNetworkNames({
  loaded,
  report,
}: {
  readonly loaded: readonly LoadedApp[];
  readonly report: Report;
}): void {
  const owners = new Map<string, string>();
  for (const { app, file } of loaded) {
    for (const [key, { name, external }] of Object.entries(app.networks)) {
      if (external === true) continue;
      const owner = owners.get(name);
      owners.set(name, app.name);
      if (owner === undefined || owner === app.name) continue;
      report.error(
        locateKey(file.root, ["networks", key]),
        `networks.${key}: the network "${name}" is already that of ${owner}: say external: true here`,
      );
    }
  }
}

function containerNames(app: string, service: Service): readonly string[] {
  if (service.containerName !== undefined) return [service.containerName];
  const { name, replicas } = service;
  return Array.from({ length: replicas }, (_, index) => `${app}-${name}-${index + 1}`);
}

type Claim = {
  readonly app: string;
  readonly service: string;
  readonly port: PublishedPort;
  readonly at: Position;
};

/**
 * Two ports clash when number and protocol are the same and the addresses are, or one is every
 * address.
 */
function checkPorts({
  loaded,
  report,
}: {
  readonly loaded: readonly LoadedApp[];
  readonly report: Report;
}): void {
  const taken = new Map<string, Claim[]>();
  for (const claim of loaded.flatMap(claimsOf)) {
    const { port } = claim;
    const key = `${port.hostPort}/${port.protocol}`;
    const claims = taken.get(key) ?? [];
    const first = claims.find((other) => addressesMeet(other.port.hostIp, port.hostIp));
    if (first !== undefined) report.error(claim.at, clashMessage(claim, first));
    taken.set(key, [...claims, claim]);
  }
}

/** Replicas of 0 publish nothing. */
function claimsOf({ app, file }: LoadedApp): Claim[] {
  return app.services.flatMap((service) => {
    if (service.replicas === 0) return [];
    const entries = file.services.get(service.name)?.ports ?? [];
    return entries.flatMap((ports, index) => {
      const at = locate(file.root, [
        "services",
        service.name,
        "ports",
        placeInList(entries, index),
      ]);
      return ports.map((port) => ({ app: app.name, service: service.name, port, at }));
    });
  });
}

function addressesMeet(a: string, b: string): boolean {
  return a === b || a === anyAddress || b === anyAddress;
}

const anyAddress = "0.0.0.0";

function clashMessage(claim: Claim, first: Claim): string {
  const { port } = claim;
  const address = port.hostIp === anyAddress ? "" : `${port.hostIp}:`;
  const same = claim.app === first.app && claim.service === first.service;
  const owner = same ? "the same service" : `${first.app}/${first.service}`;
  return (
    `${claim.app}/${claim.service}: the host port ${address}${port.hostPort}/${port.protocol} ` +
    `is already published by ${owner} at ${showPosition(first.at)}`
  );
}

function showPosition({ file, line, column }: Position): string {
  return `${file}:${line}:${column}`;
}
