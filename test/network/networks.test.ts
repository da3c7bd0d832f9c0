import { setTimeout as sleep } from "node:timers/promises";
import { readListeningSockets } from "../../runtime/network/listening-sockets.ts";
import { networkTest, one, probe, spec, tcp, three, two, udp } from "./network-test.ts";
import { hostAddress, type PrivateNetwork } from "./private-network.ts";

networkTest(
  "a published port answers from outside, loopback, neighbours and itself",
  async (t, net) => {
    await net.networks.ensureNetwork(spec("app"));
    await net.networks.ensureNetwork(spec("other"));
    const server = await net.startContainer(one, ["app"]);
    const neighbour = await net.startContainer(two, ["app"]);
    const stranger = await net.startContainer(three, ["other"]);
    await net.serve(server, probe, "tcp-serve", "80", "hello");
    await net.serve(server, probe, "udp-echo", "53");
    await net.networks.publish(one, [tcp(8080, 80), udp(5353, 53)], server.address);
    // Where br_netfilter is loaded and on, bridged frames pass the same rules.
    for (const bridged of ["1", "0"]) {
      const setting = "/proc/sys/net/bridge/bridge-nf-call-iptables";
      net.run(net.host, "sh", "-c", `[ ! -e ${setting} ] || echo ${bridged} > ${setting}`);
      for (const from of [net.outside, neighbour, stranger, server, net.host]) {
        t.is(net.run(from, probe, "tcp", hostAddress, "8080"), "hello\n");
        t.is(net.run(from, probe, "udp", hostAddress, "5353", "echo"), "echo\n");
      }
      t.is(net.run(net.host, probe, "tcp", "127.0.0.1", "8080"), "hello\n");
      t.is(net.run(net.host, probe, "udp", "127.0.0.1", "5353", "echo"), "echo\n");
    }
    t.is(net.run(neighbour, probe, "tcp", server.address, "80"), "hello\n");
  },
);

networkTest("a port bound to one host address is not open at another", async (t, net) => {
  await net.networks.ensureNetwork(spec("app"));
  const server = await net.startContainer(one, ["app"]);
  await net.serve(server, probe, "tcp-serve", "80", "local");
  await net.networks.publish(one, [{ ...tcp(8080, 80), hostIp: "127.0.0.1" }], server.address);
  t.is(net.run(net.host, probe, "tcp", "127.0.0.1", "8080"), "local\n");
  t.throws(() => net.run(net.outside, probe, "tcp", hostAddress, "8080"), { message: /refused/ });
});

networkTest("a container reaches the outside under the host's address", async (t, net) => {
  await net.networks.ensureNetwork(spec("app"));
  const client = await net.startContainer(one, ["app"]);
  await net.serve(net.outside, probe, "tcp-serve", "80");
  t.is(net.run(client, probe, "tcp", "198.51.100.2", "80"), `${hostAddress}\n`);
});

networkTest(
  "a port is flipped to another container without a refused connection",
  async (t, net) => {
    await net.networks.ensureNetwork(spec("app"));
    const old = await net.startContainer(one, ["app"]);
    const fresh = await net.startContainer(two, ["app"]);
    await net.serve(old, probe, "tcp-serve", "80", "old");
    await net.serve(fresh, probe, "tcp-serve", "80", "new");
    await net.networks.publish(one, [tcp(8080, 80)], old.address);
    const ask = () => net.run(net.outside, probe, "tcp", hostAddress, "8080");
    const answers: string[] = [];
    for (let flip = 0; flip < 10; flip += 1) {
      const [id, to] = flip % 2 === 0 ? [two, fresh] : [one, old];
      const flipping = net.networks.publish(id, [tcp(8080, 80)], to.address);
      answers.push(ask());
      await flipping;
      t.is(ask(), flip % 2 === 0 ? "new\n" : "old\n");
    }
    t.true(answers.every((answer) => answer === "old\n" || answer === "new\n"));
    await net.networks.publish(two, [tcp(8080, 80)], fresh.address);
    await net.networks.withdraw(one);
    t.is(ask(), "new\n");
    await net.networks.withdraw(two);
    t.throws(ask, { message: /refused/ });
  },
);

networkTest("a UDP client that keeps its port follows a flip", async (t, net) => {
  await net.networks.ensureNetwork(spec("app"));
  const old = await net.startContainer(one, ["app"]);
  const fresh = await net.startContainer(two, ["app"]);
  await net.serve(old, probe, "udp-echo", "53");
  await net.networks.publish(one, [udp(5353, 53)], old.address);
  const client = net.talkUdp(net.outside, hostAddress, 5353);
  t.is(await client.ask("first"), "first");
  await net.serve(fresh, probe, "udp-echo", "53");
  await net.networks.publish(two, [udp(5353, 53)], fresh.address);
  net.run(old, "ip", "link", "set", "eth0", "down");
  t.is(await client.ask("second"), "second");
});

networkTest("what is changed by hand is seen and put right", async (t, net) => {
  await net.networks.ensureNetwork(spec("app"));
  const server = await net.startContainer(one, ["app"]);
  await net.serve(server, probe, "tcp-serve", "80", "hello");
  await net.networks.publish(one, [tcp(8080, 80), tcp(8081, 80)], server.address);
  const { bridge } = await net.networks.ensureNetwork(spec("app"));
  t.deepEqual((await net.networks.observe()).drift, []);
  const nft = (...words: readonly string[]) => net.run(net.host, "nft", ...words);
  const changes: readonly (readonly [string, () => string])[] = [
    ["port-missing", () => nft("delete element ip bt-net published_any { tcp . 8080 }")],
    ["port-foreign", () => nft("add element ip bt-net published_any { tcp . 1 : 10.9.9.9 . 1 }")],
    ["table-missing", () => nft("flush table ip bt-net")],
    ["table-missing", () => nft("delete table ip bt-net")],
    ["table-missing", () => nft("flush ruleset")],
    ["table-missing", () => nft("flush set bridge bt-net pins")],
    ["table-missing", () => nft("insert rule ip bt-net forward drop")],
    ["bridge-missing", () => net.run(net.host, "ip", "link", "delete", bridge)],
    ["bridge-missing", () => net.run(net.host, "ip", "link", "set", bridge, "down")],
    ["bridge-missing", () => net.run(net.host, "ip", "address", "flush", "dev", bridge)],
    [
      "bridge-missing",
      () => net.run(net.host, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"),
    ],
  ];
  for (const [kind, change] of changes) {
    change();
    const { drift } = await net.networks.observe();
    t.true(drift.length > 0 && drift.every((found) => found.kind === kind), JSON.stringify(drift));
    await net.networks.repair(drift);
    t.deepEqual((await net.networks.observe()).drift, []);
    t.is(net.run(net.outside, probe, "tcp", hostAddress, "8080"), "hello\n");
  }
});

networkTest("publishing heals a table that vanished meanwhile", async (t, net) => {
  await net.networks.ensureNetwork(spec("app"));
  const server = await net.startContainer(one, ["app"]);
  await net.serve(server, probe, "tcp-serve", "80", "hello");
  await net.networks.publish(one, [tcp(8080, 80)], server.address);
  net.run(net.host, "nft", "flush", "ruleset");
  await net.networks.publish(one, [tcp(8080, 80), tcp(8081, 80)], server.address);
  t.is(net.run(net.outside, probe, "tcp", hostAddress, "8080"), "hello\n");
  t.is(net.run(net.outside, probe, "tcp", hostAddress, "8081"), "hello\n");
});

networkTest(
  "leases, ports and networks are the same after the agent was killed",
  async (t, net) => {
    const before = await net.networks.ensureNetwork(spec("app"));
    const address = net.networks.leaseAddress(one, "app");
    await net.networks.publish(one, [tcp(8080, 80)], address);
    const again = await net.reopen();
    t.deepEqual(again.list(), [before]);
    t.is(again.leaseAddress(one, "app"), address);
    const { drift, publishedPorts } = await again.observe();
    t.deepEqual(drift, []);
    t.deepEqual([...publishedPorts], [[one, [tcp(8080, 80)]]]);
    t.deepEqual(await again.ensureNetwork(spec("app")), before);
  },
);

networkTest("a container is restarted at once beside what its last run left", async (t, net) => {
  const { bridge } = await net.networks.ensureNetwork(spec("app"));
  const first = await net.startContainer(one, ["app"]);
  const before = net.networks.leases(one).hostInterfaces.app ?? "";
  await net.serve(first, probe, "tcp-serve", "80", "first");
  t.is(net.run(net.host, probe, "tcp", first.address, "80"), "first\n");
  const learnt = () => net.run(net.host, "bridge", "fdb", "show", "br", bridge, "dynamic");
  t.regex(learnt(), new RegExp(`dev ${before} `));
  const second = await net.startContainer(one, ["app"]);
  const after = net.networks.leases(one).hostInterfaces.app ?? "";
  t.is(second.address, first.address);
  t.not(after, before);
  t.notRegex(learnt(), new RegExp(`dev ${before} `));
  await net.serve(second, probe, "tcp-serve", "80", "second");
  t.is(net.run(net.host, probe, "tcp", second.address, "80"), "second\n");
  t.regex(learnt(), new RegExp(`dev ${after} `));
  t.deepEqual((await net.networks.observe()).drift, []);
  // The first one's namespace is held: its interface goes nevertheless.
  const links = () => net.run(net.host, "ip", "-o", "link");
  while (links().includes(before)) await sleep(50);
  t.true(links().includes(after));
});

networkTest("a port that somebody has is refused by the holder's name", async (t, net) => {
  await net.networks.ensureNetwork(spec("app"));
  const address = net.networks.leaseAddress(one, "app");
  await net.serve(net.host, probe, "tcp-serve", "8080", "taken");
  await net.networks.publish(one, [tcp(9000, 80)], address);
  await t.throwsAsync(net.networks.conflicts(two, [tcp(8080, 80)]), {
    message: /cannot publish tcp 0\.0\.0\.0:8080 because process probe-net \(pid \d+\) has it/,
  });
  await t.throwsAsync(net.networks.conflicts(two, [{ ...tcp(9000, 80), hostIp: "127.0.0.1" }]), {
    message: /because container 111111111111 has it/,
  });
  await t.notThrowsAsync(net.networks.conflicts(two, [tcp(9000, 80)], { takeOver: [one] }));
  await t.notThrowsAsync(net.networks.conflicts(two, [udp(8080, 80), tcp(8082, 80)]));
});

networkTest("subnets in use on the host are passed over", async (t, net) => {
  net.run(net.host, "ip", "route", "add", "blackhole", "10.210.0.0/23");
  net.run(net.host, "ip", "address", "add", "10.210.3.7/24", "dev", "lo");
  t.is((await net.networks.ensureNetwork(spec("app"))).subnet, "10.210.2.0/24");
  t.is((await net.networks.ensureNetwork(spec("next"))).subnet, "10.210.4.0/24");
});

networkTest(
  "instances that make networks at the same moment choose different subnets",
  async (t, net) => {
    const names = Array.from({ length: 6 }, (_, index) => `bt-rival${index}`);
    const rivals = await Promise.all(names.map((name) => net.openInstance(name)));
    const made = await Promise.all(
      rivals.flatMap((rival) => ["app", "next"].map((name) => rival.ensureNetwork(spec(name)))),
    );
    t.is(new Set(made.map(({ subnet }) => subnet)).size, made.length);
    for (const rival of rivals) t.deepEqual((await rival.observe()).drift, []);
  },
);

networkTest(
  "two instances share a host, and one that is destroyed leaves nothing",
  async (t, net) => {
    const other = await net.openInstance("bt-other");
    const before = snapshot(net);
    await net.networks.ensureNetwork(spec("app"));
    const between = snapshot(net);
    await other.ensureNetwork(spec("app"));
    await other.publish(one, [tcp(8080, 80)], other.leaseAddress(one, "app"));
    await t.throwsAsync(other.removeNetwork("app"), {
      message: /container 111111111111 is attached/,
    });
    await other.destroy();
    t.is(snapshot(net), between);
    await net.networks.destroy();
    await net.networks.destroy();
    t.is(snapshot(net), before);
  },
);

networkTest(
  "listening sockets are the same by sock_diag and by the kernel's tables",
  async (t, net) => {
    await net.serve(net.host, probe, "tcp-serve", "8080", "taken");
    await net.serve(net.host, probe, "udp-echo", "5353");
    const protocols = new Set(["tcp", "udp"] as const);
    const byNetlink = await readListeningSockets({
      protocols,
      transact: net.transact,
      proc: net.proc,
    });
    const byTables = await readListeningSockets({
      protocols,
      transact: () => Promise.reject(new Error("no sock_diag")),
      proc: net.proc,
    });
    t.deepEqual(
      byNetlink.map(({ protocol, address, port }) => `${protocol} ${address}:${port}`).sort(),
      ["tcp 0.0.0.0:8080", "udp 0.0.0.0:5353"],
    );
    t.deepEqual(byNetlink, byTables);
  },
);

/** Everything of the host's network that a user could see of us. */
function snapshot(net: PrivateNetwork): string {
  const links = net.run(net.host, "ip", "-oneline", "link").replace(/ state \w+|NO-CARRIER,/g, "");
  const forwarding = net.run(net.host, "cat", "/proc/sys/net/ipv4/ip_forward");
  return [links, net.run(net.host, "nft", "list", "ruleset"), forwarding].join("\n");
}
