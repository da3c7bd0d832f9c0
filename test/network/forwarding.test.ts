import { networkTest, one, probe, quick, spec, tcp } from "./network-test.ts";
import type { Namespace, PrivateNetwork } from "./private-network.ts";

const elsewhereAddress = "203.0.113.2";

networkTest("a host that forwards because of us is no router for others", async (t, net) => {
  setForwarding(net, "0");
  const elsewhere = await addElsewhere(net, "link");
  await net.networks.ensureNetwork(spec("app"));
  t.throws(() => quick(net, net.outside, elsewhereAddress, "80"));
  const container = await net.startContainer(one, ["app"]);
  await net.serve(container, probe, "tcp-serve", "80", "hello");
  await net.networks.publish(one, [tcp(8080, 80)], container.address);
  t.is(net.run(container, probe, "tcp", elsewhereAddress, "80"), "elsewhere\n");
  t.is(net.run(elsewhere, probe, "tcp", "203.0.113.1", "8080"), "hello\n");
  net.run(net.host, "nft", "flush", "chain", "ip", "bt-net", "guard");
  t.is(net.run(net.outside, probe, "tcp", elsewhereAddress, "80"), "elsewhere\n");
  const { drift } = await net.networks.observe();
  t.is(drift[0]?.kind, "table-missing");
  await net.networks.repair(drift);
  t.throws(() => quick(net, net.outside, elsewhereAddress, "80"));
});

networkTest(
  "a host that was a router before stays one, until it is told otherwise",
  async (t, net) => {
    setForwarding(net, "1");
    await addElsewhere(net, "link");
    await net.networks.ensureNetwork(spec("app"));
    t.is(net.run(net.outside, probe, "tcp", elsewhereAddress, "80"), "elsewhere\n");
    setForwarding(net, "0");
    const { drift } = await net.networks.observe();
    await net.networks.repair(drift);
    t.deepEqual((await net.networks.observe()).drift, []);
    t.throws(() => quick(net, net.outside, elsewhereAddress, "80"));
  },
);

networkTest("what goes by a bridge of somebody else is left to its owner", async (t, net) => {
  setForwarding(net, "0");
  await net.networks.ensureNetwork(spec("app"));
  await addElsewhere(net, "bridge");
  t.is(net.run(net.outside, probe, "tcp", elsewhereAddress, "80"), "elsewhere\n");
});

networkTest("an internal network does not reach the host, which reaches it", async (t, net) => {
  await net.networks.ensureNetwork(spec("app"));
  await net.networks.ensureNetwork({ ...spec("inner"), internal: true });
  const [, inner] = net.networks.list();
  const container = await net.startContainer(one, ["inner"]);
  await net.serve(container, probe, "tcp-serve", "80", "inner");
  await net.serve(net.host, probe, "tcp-serve", "9999", "host");
  await net.serve(net.host, probe, "udp-echo", "9998");
  const gateway = inner?.gateway ?? "";
  t.throws(() => quick(net, container, gateway, "9999"));
  t.throws(() => net.run(container, "timeout", "1", probe, "udp", gateway, "9998", "echo"));
  net.run(container, "ip", "route", "add", "default", "via", gateway);
  t.throws(() => quick(net, container, "198.51.100.1", "9999"));
  t.is(net.run(net.host, probe, "tcp", container.address, "80"), "inner\n");
  net.run(net.host, "nft", "flush", "chain", "ip", "bt-net", "input");
  t.is(net.run(container, probe, "tcp", gateway, "9999"), "host\n");
  t.is(net.run(container, probe, "udp", gateway, "9998", "echo"), "echo\n");
});

networkTest("rules that another version made are made anew", async (t, net) => {
  await net.networks.ensureNetwork(spec("app"));
  net.live.prepare("UPDATE runtime_network_kernel SET value = ? WHERE key = 'rules'").run("old");
  const again = await net.reopen();
  const { drift } = await again.observe();
  t.deepEqual(
    drift.map(({ kind, field }) => [kind, field]),
    [["table-missing", "rules"]],
  );
  await again.repair(drift);
  t.deepEqual((await again.observe()).drift, []);
});

function setForwarding(net: PrivateNetwork, value: string): void {
  net.run(net.host, "sh", "-c", `echo ${value} > /proc/sys/net/ipv4/ip_forward`);
}

/** Another neighbour of the host, by a link or behind a bridge, that serves on port 80. */
async function addElsewhere(net: PrivateNetwork, by: "link" | "bridge"): Promise<Namespace> {
  const elsewhere = await net.addNamespace();
  const host = (...words: readonly string[]) => net.run(net.host, "ip", ...words);
  const there = (...words: readonly string[]) => net.run(elsewhere, "ip", ...words);
  const peer = ["peer", "name", "up0", "netns", String(elsewhere.pid)];
  host("link", "add", "far0", "type", "veth", ...peer);
  if (by === "bridge") {
    host("link", "add", "br0", "type", "bridge");
    host("link", "set", "br0", "up");
    host("link", "set", "far0", "master", "br0");
  }
  host("link", "set", "far0", "up");
  host("address", "add", "203.0.113.1/24", "dev", by === "bridge" ? "br0" : "far0");
  there("link", "set", "lo", "up");
  there("address", "add", `${elsewhereAddress}/24`, "dev", "up0");
  there("link", "set", "up0", "up");
  there("route", "add", "default", "via", "203.0.113.1");
  net.run(net.outside, "ip", "route", "add", "203.0.113.0/24", "via", "198.51.100.1");
  await net.serve(elsewhere, probe, "tcp-serve", "80", "elsewhere");
  return elsewhere;
}
