import type { PortBinding } from "../../runtime/container-spec.ts";
import { type HostListener, isTaken } from "../host-listeners.ts";
import type { ActualState } from "../observe.ts";
import { overlaps } from "../plan/port-overlap.ts";
import type { WantedApp } from "../plan/wanted-state.ts";

export type PreflightHost = {
  readonly listeners: () => Promise<readonly HostListener[]>;
  /** Who has a socket, for people: `process nginx (pid 812)`. */
  readonly holderOf: (listener: HostListener) => Promise<string>;
  readonly pathExists: (path: string) => Promise<boolean>;
};

/**
 * What of the host would make an app fail once containers are being touched, found before: ports that another
 * process takes, bind sources, external volumes and networks that are missing. Empty: go ahead.
 */
export async function hostProblems(
  app: WantedApp,
  actual: ActualState,
  host: PreflightHost,
): Promise<string[]> {
  const problems: string[] = [];
  const fresh = newPorts(app, actual);
  if (fresh.length > 0) {
    const listeners = await host.listeners();
    for (const { container, port } of fresh) {
      const listener = listeners.find((candidate) => isTaken(candidate, port));
      if (listener === undefined) continue;
      const holder = await host.holderOf(listener);
      problems.push(
        `cannot publish ${describePort(port)} for ${container} because ${holder} has it: ` +
          "stop that process or choose another port",
      );
    }
  }
  for (const source of requiredSources(app)) {
    if (await host.pathExists(source.path)) continue;
    problems.push(
      `cannot mount ${source.path} into ${source.container} because it does not exist on the host: ` +
        "make it, or use a named volume",
    );
  }
  for (const name of app.externalVolumes) {
    if (actual.volumes.some((volume) => volume.name === name)) continue;
    problems.push(
      `cannot use the external volume ${name} because it does not exist: ` +
        `remove \`external\` so that ${app.name} makes it, or let its owner make it first`,
    );
  }
  for (const name of app.externalNetworks) {
    if (actual.networks.some((network) => network.name === name)) continue;
    problems.push(
      `cannot join the external network ${name} because it does not exist: ` +
        `remove \`external\` so that ${app.name} makes it, or let its owner make it first`,
    );
  }
  return problems;
}

/** Ports of an app that two of its containers, or one of another app, would publish. */
export function portClashes(app: WantedApp, others: readonly WantedApp[]): string[] {
  const problems: string[] = [];
  const held: { readonly container: string; readonly port: PortBinding }[] = others
    .filter(({ name }) => name !== app.name)
    .flatMap(({ containers }) => containers)
    .flatMap(({ name, spec }) => spec.ports.map((port) => ({ container: name, port })));
  for (const { name, spec } of app.containers) {
    for (const port of spec.ports) {
      const other = held.find((entry) => overlaps(entry.port, port));
      if (other !== undefined) {
        problems.push(
          `cannot publish ${describePort(port)} for ${name} because ${other.container} publishes it: ` +
            "choose another port",
        );
      }
      held.push({ container: name, port });
    }
  }
  return problems;
}

function newPorts(app: WantedApp, actual: ActualState) {
  const ours = actual.containers.flatMap(({ status }) => status.publishedPorts);
  return app.containers.flatMap(({ name, spec }) =>
    spec.ports
      .filter((port) => !ours.some((held) => overlaps(held, port)))
      .map((port) => ({ container: name, port })),
  );
}

function requiredSources(app: WantedApp) {
  return app.containers.flatMap(({ name, spec }) =>
    spec.mounts.flatMap((mount) =>
      mount.type === "bind" && !mount.createHostPath
        ? [{ container: name, path: mount.source }]
        : [],
    ),
  );
}

function describePort(port: PortBinding): string {
  return `port ${port.hostIp}:${port.hostPort}/${port.protocol}`;
}
