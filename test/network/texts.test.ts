import test from "ava";
import * as fc from "fast-check";
import { hostsFile, hostsLine } from "../../runtime/network/hosts-file.ts";
import {
  formatAddress,
  formatSubnet,
  lastAddress,
  macOfAddress,
  overlaps,
  parseAddress,
  parseSubnet,
  subnetOf,
} from "../../runtime/network/ipv4.ts";
import { bridgeName, hostInterfaceName, linkGroup } from "../../runtime/network/network-names.ts";
import { bindingsCollide } from "../../runtime/network/published-ports.ts";
import { fallbackServers, resolvConf } from "../../runtime/network/resolv-conf.ts";

test("addresses and subnets are read back as they were written", (t) => {
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), (address, prefixLength) => {
      t.is(formatAddress(parseAddress(address)), address);
      const subnet = subnetOf(parseAddress(address), prefixLength);
      t.deepEqual(parseSubnet(formatSubnet(subnet)), subnet);
      t.true(subnet.base <= parseAddress(address) && parseAddress(address) <= lastAddress(subnet));
    }),
  );
});

test("subnets overlap exactly when one holds the other's first address", (t) => {
  const subnet = fc
    .tuple(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 16, max: 32 }))
    .map(([low, prefixLength]) => subnetOf(0x0ad20000 + low, prefixLength));
  fc.assert(
    fc.property(subnet, subnet, (one, other) => {
      const holds = (outer: typeof one, inner: typeof one) =>
        inner.base >= outer.base && inner.base <= lastAddress(outer);
      t.is(overlaps(one, other), holds(one, other) || holds(other, one));
    }),
  );
});

test("what is no subnet is refused", (t) => {
  for (const text of ["", "10.0.0.0", "10.0.0.1/24", "10.0.0.0/33", "300.0.0.0/8", "::/0"]) {
    t.throws(() => parseSubnet(text), { message: /^cannot read/ }, text);
  }
});

test("a MAC address follows from the IPv4 address", (t) => {
  t.is(macOfAddress("10.210.0.2"), "02:be:0a:d2:00:02");
});

test("interface names fit the kernel's 15 characters and differ between instances", (t) => {
  const instance = fc.stringMatching(/^[a-z][a-z0-9-]{0,30}$/);
  fc.assert(
    fc.property(instance, instance, fc.string(), (one, other, network) => {
      const container = { containerId: "c", network };
      for (const name of [bridgeName(one, network, 0), hostInterfaceName(one, container, 0)]) {
        t.regex(name, /^[a-z0-9-]{1,15}$/);
      }
      t.not(bridgeName(one, network, 0), bridgeName(one, network, 1));
      if (one === other) return;
      t.not(bridgeName(one, network, 0), bridgeName(other, network, 0));
      t.not(linkGroup(one), 0);
    }),
  );
});

test("bindings collide on one port and protocol where an address is shared", (t) => {
  t.true(bindingsCollide(binding("0.0.0.0"), binding("127.0.0.1")));
  t.true(bindingsCollide(binding("127.0.0.1"), binding("127.0.0.1")));
  t.false(bindingsCollide(binding("127.0.0.1"), binding("10.0.0.1")));
  t.false(bindingsCollide(binding("0.0.0.0"), binding("0.0.0.0", 81)));
  t.false(bindingsCollide(binding("0.0.0.0"), binding("0.0.0.0", 80, "udp")));
});

test("a hosts file names loopback, the container and every replica of its peers", (t) => {
  const text = hostsFile({
    hostname: "web",
    own: [{ address: "10.210.0.2", names: ["app-web-1", "web"] }],
    peers: [
      hostsLine("10.210.0.3", ["app-db-1", "db", "bad name\n6.6.6.6 evil"]),
      hostsLine("10.210.0.4", ["app-db-2", "db"]),
    ],
  });
  const lines = text.split("\n");
  t.is(lines[0], "127.0.0.1\tlocalhost");
  t.deepEqual(lines.slice(-4), [
    "10.210.0.2\tweb app-web-1",
    "10.210.0.3\tapp-db-1 db",
    "10.210.0.4\tapp-db-2 db",
    "",
  ]);
});

const stub = "# stub\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n";

const resolverCases: readonly (readonly [string, Record<string, string>, string])[] = [
  [
    "servers, search and options of the host are kept, comments are not",
    { "/etc/resolv.conf": "# made by hand\nnameserver 192.0.2.1\nsearch a b\noptions ndots:2\n" },
    "nameserver 192.0.2.1\nsearch a b\noptions ndots:2\n",
  ],
  [
    "loopback and IPv6 servers beside others are dropped",
    { "/etc/resolv.conf": "nameserver 127.0.0.1\nnameserver fe80::1\nnameserver 192.0.2.1\n" },
    "nameserver 192.0.2.1\n",
  ],
  [
    "the servers behind systemd-resolved's stub are used",
    {
      "/etc/resolv.conf": stub,
      "/run/systemd/resolve/resolv.conf": "nameserver 192.0.2.9\nsearch lan\n",
    },
    "nameserver 192.0.2.9\nsearch lan\n",
  ],
  [
    "public servers are used where nothing else is left",
    { "/etc/resolv.conf": stub },
    `${fallbackServers.map((server) => `nameserver ${server}\n`).join("")}options edns0 trust-ad\nsearch lan\n`,
  ],
];

for (const [title, files, expected] of resolverCases) {
  test(`resolv.conf: ${title}`, (t) => {
    t.is(
      resolvConf((path) => files[path]),
      expected,
    );
  });
}

function binding(hostIp: string, hostPort = 80, protocol: "tcp" | "udp" = "tcp") {
  return { hostIp, hostPort, containerPort: 1, protocol };
}
