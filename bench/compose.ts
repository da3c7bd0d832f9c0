import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Measurement, summarize } from "./measure.ts";

const run = promisify(execFile);
const services = 20;
const firstPort = 23_500;
const rounds = 3;

/** docker-compose with as many services and ports as berth's own lines, on a dockerd that has the image `bench`. */
export async function measureCompose(scratch: string, socket: string): Promise<Measurement[]> {
  const dir = join(scratch, "compose");
  mkdirSync(dir, { recursive: true });
  const bodies = Array.from(
    { length: services },
    (_, index) => `  s${index}:
    image: bench:latest
    command: [/bin/probe, sleep, "600"]
    stop_signal: SIGKILL
    ports: ["127.0.0.1:${firstPort + index}:8080"]
`,
  );
  writeFileSync(join(dir, "compose.yaml"), `version: "3"\nservices:\n${bodies.join("")}`);
  const call = async (...args: readonly string[]): Promise<number> => {
    const begin = performance.now();
    await run("docker-compose", ["-H", `unix://${socket}`, "-f", "compose.yaml", ...args], {
      cwd: dir,
      maxBuffer: 1 << 28,
    });
    return performance.now() - begin;
  };
  const [up, same, down]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < rounds; round += 1) {
    up.push(await call("up", "-d"));
    same.push(await call("up", "-d"));
    down.push(await call("down", "-t", "1"));
  }
  const line = (what: string, samples: readonly number[]) =>
    summarize(`${services} services with a port: ${what}`, "docker-compose", "ms", samples);
  return [line("up", up), line("up again, nothing changed", same), line("down", down)];
}
