import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Measurement, summarize } from "./measure.ts";

const berth = fileURLToPath(new URL("../bin/berth", import.meta.url));
const apps = 100;
const servicesEach = 10;
const hosts = 10;
const runs = 5;

/** `berth validate` as a process of its own: 1,000 services in 100 files, and a fleet of ten hosts that all run them. */
export async function measureManifests(directory: string): Promise<readonly Measurement[]> {
  const single = join(directory, "one-host");
  const fleet = join(directory, "ten-hosts");
  writeApps(single);
  writeApps(fleet);
  writeFileSync(join(fleet, "berth.yaml"), fleetFile());
  return [
    ...(await validate("validate 1,000 services in 100 files", single)),
    ...(await validate("the same for a fleet of ten hosts", fleet)),
  ];
}

async function validate(what: string, directory: string): Promise<readonly Measurement[]> {
  const times: number[] = [];
  const peaks: number[] = [];
  for (let run = -1; run < runs; run += 1) {
    const begin = performance.now();
    const { stderr } = await promisify(execFile)("/usr/bin/time", [
      "--format=%M",
      berth,
      "validate",
      directory,
    ]);
    if (run < 0) continue;
    times.push(performance.now() - begin);
    peaks.push(Number(stderr.trim().split("\n").at(-1)) / 1024);
  }
  return [
    summarize(what, "berth", "ms", times),
    summarize(`${what}, peak memory`, "berth", "MiB", peaks),
  ];
}

function writeApps(directory: string): void {
  for (let app = 0; app < apps; app += 1) {
    const place = join(directory, `app${app}`);
    mkdirSync(place, { recursive: true });
    const services = Array.from({ length: servicesEach }, (_, index) => service(app, index));
    writeFileSync(
      join(place, "compose.yaml"),
      `services:\n${services.join("")}volumes: {data: {}}\n`,
    );
  }
}

function service(app: number, index: number): string {
  return `  web${index}:
    image: registry.example/team/web:1.${index}
    command: ["serve", "--port", "8080", "--name", "app${app}"]
    environment:
      DATABASE_URL: postgres://db:5432/app${app}
      LOG_LEVEL: \${LOG_LEVEL:-info}
    ports:
      - "127.0.0.1:${10_000 + app * servicesEach + index}:8080"
    volumes:
      - data:/var/lib/data
      - /srv/app${app}:/etc/app:ro
    restart: unless-stopped
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:8080/healthz"]
      interval: 10s
      retries: 3
    deploy: {resources: {limits: {cpus: "0.5", memory: 256M}}}
    labels:
      traefik.enable: "true"
      traefik.http.routers.web${index}.rule: Host(\`web${index}.example\`)
`;
}

function fleetFile(): string {
  const names = Array.from({ length: hosts }, (_, host) => `  host${host}: {}\n`);
  const all = Array.from({ length: apps }, (_, app) => `  app${app}: {path: app${app}}\n`);
  return `hosts:\n${names.join("")}apps:\n${all.join("")}`;
}
