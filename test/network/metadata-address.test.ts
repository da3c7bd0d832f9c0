import type { ExecutionContext } from "ava";
import { networkTest, one, probe, quick, spec, tcp } from "./network-test.ts";
import { hostAddress, type PrivateNetwork } from "./private-network.ts";

const metadata = "169.254.169.254";
/** Where some clouds' agents serve on the host itself. */
const ofHost = "169.254.170.2";

networkTest("a container does not reach the cloud's metadata address", async (t, net) => {
  await net.networks.ensureNetwork(spec("app"));
  const container = await net.startContainer(one, ["app"]);
  await serveMetadata(net);
  await net.networks.publish(one, [tcp(8080, 80)], container.address);
  t.is(net.run(net.host, probe, "tcp", metadata, "80"), "credentials\n");
  isClosed(t, net, container);
  // An address of its own beside the metadata service's does not help.
  net.run(container, "ip", "route", "add", "169.254.0.0/16", "via", "10.210.0.1");
  isClosed(t, net, container);

  net.run(net.host, "nft", "flush", "chain", "ip", "bt-net", "link_local");
  t.is(net.run(container, probe, "tcp", metadata, "80"), "credentials\n");
  t.is(net.run(container, probe, "tcp", ofHost, "80"), "of the task\n");
  await net.networks.repair((await net.networks.observe()).drift);
  isClosed(t, net, container);
});

networkTest("a name server at a link-local address answers containers", async (t, net) => {
  await net.networks.ensureNetwork(spec("app"));
  const container = await net.startContainer(one, ["app"]);
  await serveMetadata(net);
  // An answer comes from the address that was asked.
  net.run(net.outside, "ip", "route", "add", `${hostAddress}/32`, "dev", "up0", "src", metadata);
  await net.serve(net.outside, probe, "udp-echo", "53");
  await net.serve(net.outside, probe, "tcp-serve", "53", "names");
  t.is(net.run(container, probe, "udp", metadata, "53", "who").trim(), "who");
  t.is(net.run(container, probe, "tcp", metadata, "53"), "names\n");
});

networkTest(
  "a host whose policy says so lets containers reach it, and takes it back",
  async (t, net) => {
    await net.networks.ensureNetwork(spec("app"));
    const container = await net.startContainer(one, ["app"]);
    await serveMetadata(net);
    t.deepEqual((await net.networks.observe()).drift, []);

    net.policy.metadataAddress = true;
    await net.networks.repair((await net.networks.observe()).drift);
    t.is(net.run(container, probe, "tcp", metadata, "80"), "credentials\n");
    t.deepEqual((await net.networks.observe()).drift, []);

    net.policy.metadataAddress = false;
    await net.networks.repair((await net.networks.observe()).drift);
    isClosed(t, net, container);
  },
);

async function serveMetadata(net: PrivateNetwork): Promise<void> {
  net.run(net.outside, "ip", "address", "add", `${metadata}/32`, "dev", "up0");
  net.run(net.host, "ip", "route", "add", `${metadata}/32`, "dev", "up0");
  net.run(net.host, "ip", "address", "add", `${ofHost}/32`, "dev", "lo");
  await net.serve(net.outside, probe, "tcp-serve", "80", "credentials");
  await net.serve(net.host, probe, "tcp-serve", "80", "of the task");
}

function isClosed(
  t: ExecutionContext,
  net: PrivateNetwork,
  container: { readonly pid: number },
): void {
  for (const address of [metadata, ofHost]) t.throws(() => quick(net, container, address, "80"));
}
