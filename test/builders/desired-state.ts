import type { App, CommitSha, DesiredState, Service } from "../../manifests/desired-state.ts";

/** A service with defaults: one replica of `web:1` on the default network. */
export function service(name: string, fields: Partial<Service> = {}): Service {
  return {
    name,
    image: "web:1",
    replicas: 1,
    environment: {},
    ports: [],
    mounts: [],
    networks: { default: [] },
    restart: { condition: "no" },
    resources: {},
    dependsOn: {},
    stopGraceMs: 10_000,
    labels: {},
    readOnlyRoot: false,
    init: false,
    tty: false,
    stdinOpen: false,
    ...fields,
  };
}

export function app(name: string, services: readonly Service[], fields: Partial<App> = {}): App {
  return {
    name,
    path: name,
    services,
    volumes: {},
    networks: { default: { name: `${name}_default`, internal: false, labels: {} } },
    ...fields,
  };
}

export const someCommit = { author: "Ann <ann@example.org>", subject: "Change something" };

/** `seed` is one hex digit. */
export function sha(seed: string): CommitSha {
  // Forty hex digits are what the brand stands for.
  return seed.repeat(40) as CommitSha;
}

export function desired(seed: string, apps: readonly App[]): DesiredState {
  return { revision: sha(seed), apps };
}

export const started = { condition: "service_started", required: true, restart: false } as const;
export const healthy = { condition: "service_healthy", required: true, restart: false } as const;
export const completed = {
  condition: "service_completed_successfully",
  required: true,
  restart: false,
} as const;

export function tcpPort(hostPort: number) {
  return { hostIp: "0.0.0.0", hostPort, containerPort: 80, protocol: "tcp" } as const;
}
