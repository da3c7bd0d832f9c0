import { randomBytes } from "node:crypto";
import type { ContainerSpec, PortBinding } from "../runtime/container-spec.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { probeSpec } from "../test/kernel/runtime-harness.ts";
import { type Measurement, summarize } from "./measure.ts";

const rounds = 25;

type Place = { readonly network: string; readonly port: number };

type Variant = {
  readonly part: string;
  readonly without: (place: Place) => Partial<ContainerSpec>;
};

const onNetwork = ({ network, port }: Place) => ({
  networks: [{ network, aliases: [] }],
  ports: [binding(port)],
});

/** Each leaves one thing out of what a default service with a port has. */
const variants: readonly Variant[] = [
  { part: "published port", without: ({ network }) => ({ networks: [{ network, aliases: [] }] }) },
  { part: "network and port", without: () => ({}) },
  {
    part: "user namespace, idmapped layers",
    without: (place) => ({ ...onNetwork(place), namespaces: { user: "host" } }),
  },
  {
    part: "seccomp filter",
    without: (place) => ({ ...onNetwork(place), security: { seccomp: "unconfined" } }),
  },
  {
    part: "limits of the cgroup",
    without: (place) => ({ ...onNetwork(place), resources: {} }),
  },
];

/**
 * What a part of a start costs: the whole start less one without that part, right before or after it, because a machine is
 * not the same from minute to minute.
 */
export async function measureStartParts(
  runtime: Runtime,
  firstPort: number,
): Promise<Measurement[]> {
  const costs = variants.map((): number[] => []);
  let port = firstPort;
  let network = "";
  const start = async (make: (place: Place) => Partial<ContainerSpec>): Promise<number> => {
    port += 1;
    const spec = probeSpec(runtime, ["sleep", "600"], {
      hostname: `part-${randomBytes(4).toString("hex")}`,
      ...make({ network, port }),
    });
    await runtime.createContainer(spec);
    const begun = performance.now();
    await runtime.startContainer(spec.id);
    // It goes on: the kernel takes down what has ended beside the next start, and that one would pay for it.
    return performance.now() - begun;
  };
  for (let round = -1; round < rounds; round += 1) {
    // Few neighbours, as in most apps: each of them is told of a newcomer.
    network = `parts${round + 1}`;
    await runtime.ensureNetwork({ name: network, labels: {}, internal: false });
    // The first one meets a bridge that is being made.
    await start(onNetwork);
    for (const [index, { without }] of variants.entries()) {
      // Who comes later has one neighbour more: they take turns.
      const order = round % 2 === 0 ? [onNetwork, without] : [without, onNetwork];
      const times = new Map<unknown, number>();
      for (const make of order) times.set(make, await start(make));
      const cost = (times.get(onNetwork) ?? Number.NaN) - (times.get(without) ?? Number.NaN);
      if (round >= 0) costs[index]?.push(cost);
    }
  }
  return variants.map(({ part }, index) =>
    summarize(`part of a start: ${part}`, "berth, difference", "ms", costs[index] ?? []),
  );
}

function binding(hostPort: number): PortBinding {
  return { hostIp: "127.0.0.1", hostPort, containerPort: 8080, protocol: "tcp" };
}
