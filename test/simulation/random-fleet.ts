import type { App, CommitSha, DesiredState, Service } from "../../manifests/desired-state.ts";
import { app, service, tcpPort } from "../builders/desired-state.ts";

const healthcheck = {
  test: ["CMD", "check"],
  intervalMs: 10_000,
  timeoutMs: 500,
  retries: 1,
  startPeriodMs: 0,
  startIntervalMs: 1_000,
};

/** How the program of a service behaves: `GOOD`, ends, or never gets healthy. Carried in its environment. */
export type Behaviour = "good" | "ends" | "sick";

/** A revision of up to three apps, one of which may be bad; ports are shared out anew each time. */
export function randomFleet(
  random: () => number,
  options: { readonly number: number; readonly mayFail: boolean },
): DesiredState {
  const ports = [80, 81, 82].toSorted(() => random() - 0.5);
  const names = ["one", "two", "three"].filter(() => random() < 0.8);
  const bad = options.mayFail && random() < 0.4 ? names[Math.floor(random() * names.length)] : "";
  const apps = names.map((name): App => {
    const behaviour: Behaviour = name !== bad ? "good" : random() < 0.5 ? "ends" : "sick";
    return app(name, [front(random, behaviour, ports.pop()), back(random)]);
  });
  // Forty hex digits are what the brand stands for.
  const revision = options.number.toString(16).padStart(40, "0") as CommitSha;
  return { revision, apps, ...(random() < 0.2 ? { atomic: "revision" as const } : {}) };
}

function front(random: () => number, behaviour: Behaviour, port: number | undefined): Service {
  const order = random() < 0.5 ? "start-first" : "stop-first";
  const ports = port === undefined || random() < 0.3 ? [] : [tcpPort(port)];
  // A port of the host is one replica's.
  const replicas = ports.length > 0 ? 1 : 1 + Math.floor(random() * 4);
  const canaryMs = replicas > 1 && random() < 0.5 ? 1_000 + Math.floor(random() * 20_000) : 0;
  return service("web", {
    user: String(Math.floor(random() * 5)),
    image: `web:${1 + Math.floor(random() * 3)}`,
    environment: { BEHAVIOUR: behaviour, ORDER: order },
    healthcheck,
    restart: { condition: "always" },
    ...(ports.length > 0 ? { ports } : {}),
    replicas,
    ...(canaryMs > 0 ? { canaryMs } : {}),
    deploy: {
      update: {
        parallelism: Math.floor(random() * 3),
        delayMs: Math.floor(random() * 2) * 2_000,
        failureAction: "rollback",
        monitorMs: Math.floor(random() * 2) * 3_000,
        failureRatioMax: 0,
        order,
      },
    },
  });
}

function back(random: () => number): Service {
  return service("db", {
    user: String(Math.floor(random() * 2)),
    restart: { condition: "unless-stopped" },
    mounts: ["/etc/a", "/etc/b"].map((target) => ({
      type: "tree",
      tree: String(Math.floor(random() * 3)).repeat(64),
      target,
    })),
    ...(random() < 0.8 ? { onConfigChange: { signal: "SIGHUP" } } : {}),
    replicas: 1 + Math.floor(random() * 2),
  });
}
