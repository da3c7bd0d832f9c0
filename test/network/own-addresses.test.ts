import { networkTest, one, probe, spec, three, two } from "./network-test.ts";

const ipam = {
  subnet: "172.31.240.0/24",
  gateway: "172.31.240.254",
  range: "172.31.240.128/29",
  reserved: ["172.31.240.129"],
};

networkTest("a network has the subnet, gateway and range that it asks for", async (t, net) => {
  const status = await net.networks.ensureNetwork({ ...spec("app"), ipam });
  t.like(status, { subnet: "172.31.240.0/24", gateway: "172.31.240.254" });
  const server = await net.startContainer(one, ["app"]);
  t.is(server.address, "172.31.240.128");
  t.is((await net.startContainer(two, ["app"])).address, "172.31.240.130", "one is reserved");
  await net.serve(net.outside, probe, "tcp-serve", "80");
  t.regex(net.run(server, probe, "tcp", "198.51.100.2", "80"), /^198\./, "the gateway works");
});

networkTest(
  "a container has the addresses that it asks for, and its pin lets them pass",
  async (t, net) => {
    await net.networks.ensureNetwork({ ...spec("app"), ipam });
    const server = await net.startContainer(one, ["app"], {
      ipv4Address: "172.31.240.7",
      macAddress: "02:42:ac:11:65:43",
    });
    t.is(server.address, "172.31.240.7");
    t.regex(net.run(server, "ip", "link", "show", "eth0"), /02:42:ac:11:65:43/);
    const neighbour = await net.startContainer(two, ["app"]);
    await net.serve(server, probe, "tcp-serve", "80", "hello");
    t.is(net.run(neighbour, probe, "tcp", "172.31.240.7", "80"), "hello\n");
    const lease = (ipv4Address: string) => () =>
      net.networks.leaseAddress(three, "app", { ipv4Address });
    t.throws(lease("172.31.240.7"), { message: /container 111111111111 has it: choose another/ });
    t.throws(lease("172.31.240.254"), { message: /it is the network's gateway/ });
    t.throws(lease("172.31.241.7"), { message: /no address of 172\.31\.240\.0\/24/ });
  },
);

networkTest("a subnet that the host uses already is refused by its name", async (t, net) => {
  const own = { ...spec("app"), ipam: { subnet: "198.51.100.0/25" } };
  await t.throwsAsync(net.networks.ensureNetwork(own), {
    message: /cannot use the subnet 198\.51\.100\.0\/25 because this host has 198\.51\.100\./,
  });
  await net.networks.ensureNetwork({ ...spec("one"), ipam });
  await t.throwsAsync(net.networks.ensureNetwork({ ...spec("two"), ipam }), {
    message: /this host has 172\.31\.240\.0\/24 already/,
  });
});
