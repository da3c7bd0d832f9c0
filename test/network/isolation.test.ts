import { networkTest, one, probe, quick, spec, two } from "./network-test.ts";

networkTest(
  "networks are closed to each other, and to the outside where nothing is published",
  async (t, net) => {
    await net.networks.ensureNetwork(spec("app"));
    await net.networks.ensureNetwork(spec("other"));
    const server = await net.startContainer(one, ["app"]);
    const stranger = await net.startContainer(two, ["other"]);
    await net.serve(server, probe, "tcp-serve", "80", "secret");
    const attempts = [stranger, net.outside].map(
      (from) => () => quick(net, from, server.address, "80"),
    );
    for (const attempt of attempts) t.throws(attempt);
    t.is(net.run(net.host, probe, "tcp", server.address, "80"), "secret\n");
  },
);

networkTest("an internal network has no way out and none in", async (t, net) => {
  await net.networks.ensureNetwork({ ...spec("inner"), internal: true });
  const server = await net.startContainer(one, ["inner"]);
  const neighbour = await net.startContainer(two, ["inner"]);
  await net.serve(server, probe, "tcp-serve", "80", "inner");
  await net.serve(net.outside, probe, "tcp-serve", "81", "outer");
  t.is(net.run(neighbour, probe, "tcp", server.address, "80"), "inner\n");
  t.throws(() => quick(net, neighbour, "198.51.100.2", "81"));
  net.run(neighbour, "ip", "route", "add", "default", "via", "10.210.0.1");
  t.throws(() => quick(net, neighbour, "198.51.100.2", "81"));
});

networkTest("a container cannot reach the host's loopback over the bridge", async (t, net) => {
  await net.networks.ensureNetwork(spec("app"));
  const attacker = await net.startContainer(one, ["app"]);
  await net.serve(net.host, probe, "tcp-serve", "9999", "host only");
  t.is(net.run(net.host, probe, "tcp", "127.0.0.1", "9999"), "host only\n");
  // What CVE-2020-8558 does: loopback addresses sent to the gateway.
  net.run(attacker, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet");
  net.run(attacker, "ip", "address", "del", "127.0.0.1/8", "dev", "lo");
  net.run(attacker, "ip", "route", "add", "127.0.0.1/32", "via", "10.210.0.1");
  t.throws(() => quick(net, attacker, "127.0.0.1", "9999"));
  net.run(net.host, "nft", "flush", "chain", "ip", "bt-net", "martians");
  t.is(net.run(attacker, probe, "tcp", "127.0.0.1", "9999"), "host only\n");
});

networkTest("a container cannot send under another address", async (t, net) => {
  await net.networks.ensureNetwork(spec("app"));
  const server = await net.startContainer(one, ["app"]);
  const spoofer = await net.startContainer(two, ["app"]);
  await net.serve(server, probe, "tcp-serve", "80");
  t.is(net.run(spoofer, probe, "tcp", server.address, "80"), `${spoofer.address}\n`);
  net.run(spoofer, "ip", "address", "del", `${spoofer.address}/24`, "dev", "eth0");
  net.run(spoofer, "ip", "address", "add", "10.210.0.99/24", "dev", "eth0");
  t.throws(() => quick(net, spoofer, server.address, "80"));
  net.run(net.host, "nft", "flush", "chain", "bridge", "bt-net", "prerouting");
  t.is(net.run(spoofer, probe, "tcp", server.address, "80"), "10.210.0.99\n");
});
