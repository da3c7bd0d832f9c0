import type { ExecutionContext } from "ava";
import type { PortBinding } from "../../runtime/container-spec.ts";
import { kernelTest } from "../kernel/kernel-test.ts";
import { openPrivateNetwork, type PrivateNetwork } from "./private-network.ts";

export const probe = new URL("../../build/payload/probe-net", import.meta.url).pathname;

/** Container ids. */
export const one = "1".repeat(64);
export const two = "2".repeat(64);
export const three = "3".repeat(64);

/** A kernel test on a host of its own, which is gone when the test ends. */
export function networkTest(
  title: string,
  run: (t: ExecutionContext, net: PrivateNetwork) => Promise<void>,
): void {
  kernelTest(title, async (t) => {
    const net = await openPrivateNetwork();
    try {
      await run(t, net);
    } finally {
      await net.close();
    }
  });
}

/** A connection that is expected to be dropped: it is given a second. */
export function quick(
  net: PrivateNetwork,
  from: { readonly pid: number },
  host: string,
  port: string,
) {
  return net.run(from, "timeout", "1", probe, "tcp", host, port);
}

export function spec(name: string) {
  return { name, labels: {}, internal: false };
}

export function tcp(hostPort: number, containerPort: number): PortBinding {
  return { hostIp: "0.0.0.0", hostPort, containerPort, protocol: "tcp" };
}

export function udp(hostPort: number, containerPort: number): PortBinding {
  return { ...tcp(hostPort, containerPort), protocol: "udp" };
}
