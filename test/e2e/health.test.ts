import { serialKernelTest } from "../kernel/kernel-test.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();

serialKernelTest(
  "a probe over HTTP decides about health, and a port that nobody listens at",
  async (t) => {
    const services = (port: number) => `
services:
  web:
    image: ${image}
    x-berth: { probe: { http: { port: 8080, path: /healthz }, interval: 200ms, retries: 2 } }
  tcp:
    image: ${image}
    environment: { PORT: ${port} }
    depends_on: { web: { condition: service_healthy } }
    x-berth: { probe: { tcp: ${port}, interval: 200ms, retries: 2 } }
`;
    t.is((await agent.deploy("probed", services(8080))).verdict, "healthy");
    t.is((await agent.container("probed-web-1")).health, "healthy");
    await agent.commit({ "probed/compose.yaml": services(8081) });
    const { reason } = await agent.untilApp("probed", (app) => app.verdict === "rolled-back");
    t.regex(reason, /probed-tcp-1 is unhealthy/);
    t.like(await agent.container("probed-tcp-1"), { restarts: 0 });
  },
);

serialKernelTest(
  "an unhealthy container is restarted where that is asked for, even when it is no failure to end",
  async (t) => {
    await agent.deploy(
      "healing",
      `
services:
  web:
    image: ${image}
    tmpfs: /scratch
    stop_grace_period: 1s
    x-berth:
      on-unhealthy: restart
      probe:
        http: { port: 8080, path: "/read?path=/scratch/ill", status: 404 }
        interval: 200ms
        retries: 2
`,
    );
    const { pid } = await agent.untilContainer(
      "healing-web-1",
      ({ health }) => health === "healthy",
    );
    await agent.ok("cp", "/etc/hostname", "healing/web:/scratch/ill");
    const back = await agent.untilContainer(
      "healing-web-1",
      (entry) => entry.health === "healthy" && entry.pid !== pid,
    );
    t.is(back.restarts, 1);
    t.regex(await agent.ok("events"), /healing-web-1 is unhealthy and is restarted/);
  },
);
