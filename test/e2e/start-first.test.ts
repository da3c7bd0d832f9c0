import { Agent, request } from "node:http";
import { freePort } from "../builders/free-port.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();
/** BERTH_LOAD_ROLLOUTS=20 loads for longer. */
const rollouts = Number(process.env.BERTH_LOAD_ROLLOUTS ?? 4);
const clients = 4;

serialKernelTest("no request fails while start-first rollouts replace what answers", async (t) => {
  const port = await freePort();
  const manifest = (greeting: string) => `
services:
  web:
    image: ${image}
    restart: always
    environment: { GREETING: "${greeting}" }
    ports: ["127.0.0.1:${port}:8080"]
    healthcheck:
      test: ["CMD", "/bin/probe-net", "tcp", "127.0.0.1", "8080"]
      interval: 1s
      start_period: 20s
      start_interval: 100ms
    deploy: { update_config: { order: start-first, monitor: 0s } }
`;
  t.is((await agent.deploy("shop", manifest("round 0"))).verdict, "healthy");
  await eventually(() => ask(port).catch(() => undefined), "the first answer");
  const load = new Load(port);
  for (let round = 1; round <= rollouts; round += 1) {
    t.is((await agent.deploy("shop", manifest(`round ${round}`))).verdict, "healthy");
    await eventually(async () => (await agent.ps()).length === 1 || undefined, "the old one gone");
  }
  await load.end();
  t.log(`${load.answered} requests over ${rollouts} rollouts by ${clients} clients`);
  t.deepEqual(load.failures, []);
  t.deepEqual(
    [...load.greetings],
    Array.from({ length: rollouts + 1 }, (_, round) => `round ${round}`),
  );
});

/** Each client asks again as soon as it has its answer, on a connection of its own each time. */
class Load {
  readonly greetings = new Set<string>();
  readonly failures: string[] = [];
  answered = 0;
  #isOver = false;
  readonly #clients: Promise<unknown>;

  constructor(port: number) {
    this.#clients = Promise.all(Array.from({ length: clients }, () => this.#client(port)));
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#clients;
  }

  async #client(port: number): Promise<void> {
    while (!this.#isOver) {
      try {
        const body = await ask(port);
        this.answered += 1;
        this.greetings.add(/greeting: (.*)/.exec(body)?.[1] ?? body);
      } catch (error) {
        this.failures.push(String(error));
      }
    }
  }
}

const fresh = new Agent({ keepAlive: false });

function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, agent: fresh, timeout: 10_000 }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () => {
        const body = Buffer.concat(chunks).toString();
        if (answer.statusCode === 200) resolve(body);
        else reject(new Error(`status ${answer.statusCode}`));
      });
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer within 10 s")));
    asked.on("error", reject);
    asked.end();
  });
}
