import { payloadSpec, probeSpec, withRuntime } from "../test/kernel/runtime-harness.ts";
import { type Measurement, measure } from "./measure.ts";
import { measureStartParts } from "./start-parts.ts";

const runs = 30;

/** A container through the runtime's own API, with all that a default service has. */
export async function measureContainerStart(): Promise<Measurement[]> {
  const found: Measurement[] = [];
  await withRuntime(async ({ runtime }) => {
    await runtime.ensureNetwork({ name: "bench", labels: {}, internal: false });
    const networks = [{ network: "bench", aliases: [] }];
    const start = async (what: "start" | "create and start", port: number | undefined) => {
      const ports =
        port === undefined
          ? []
          : [
              {
                hostIp: "127.0.0.1",
                hostPort: port,
                containerPort: 8080,
                protocol: "tcp" as const,
              },
            ];
      const spec = probeSpec(runtime, ["sleep", "600"], {
        networks: port === undefined ? [] : networks,
        ports,
      });
      const begun = performance.now();
      await runtime.createContainer(spec);
      const created = performance.now();
      await runtime.startContainer(spec.id);
      return performance.now() - (what === "start" ? created : begun);
    };
    found.push(
      await measure("start of a container", "berth start, network, one port", { runs }, (n) =>
        start("start", 21_000 + n + 1),
      ),
      await measure(
        "start of a container, other",
        "create and start, network, one port",
        { runs },
        (n) => start("create and start", 21_100 + n + 1),
      ),
      await measure("start of a container, other", "start, no network", { runs }, () =>
        start("start", undefined),
      ),
    );
    // Without neighbours that would have to be told of it.
    await runtime.ensureNetwork({ name: "again", labels: {}, internal: false });
    const restarted = payloadSpec(runtime, "probe", ["sleep", "60"], {
      networks: [{ network: "again", aliases: [] }],
    });
    await runtime.createContainer(restarted);
    found.push(
      await measure("start again after an end", "berth, network", { runs }, async () => {
        await runtime.startContainer(restarted.id);
        await runtime.signalContainer(restarted.id, "SIGKILL");
        await new Promise<void>((resolve) => {
          const look = setInterval(async () => {
            const { containers } = await runtime.observe();
            if (containers.find(({ spec }) => spec.id === restarted.id)?.state !== "running") {
              clearInterval(look);
              resolve();
            }
          }, 1);
        });
        const begin = performance.now();
        await runtime.startContainer(restarted.id);
        const took = performance.now() - begin;
        await runtime.stopContainer(restarted.id, { graceMs: 0, abort: AbortSignal.timeout(5000) });
        return took;
      }),
    );
    found.push(...(await measureStartParts(runtime, 21_200)));
  });
  return found;
}
