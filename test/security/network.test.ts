import { existsSync } from "node:fs";
import { payloadPath } from "../kernel/runtime-harness.ts";
import { networkTest, one, spec, two } from "../network/network-test.ts";

const attack = payloadPath("probe-attack");

networkTest(
  "CVE-2020-13401, CVE-2020-10749: a container that claims to be an IPv6 router is not heard",
  async (t, net) => {
    if (!existsSync("/proc/net/if_inet6")) {
      t.pass("this kernel has no IPv6");
      return;
    }
    await net.networks.ensureNetwork(spec("app"));
    const attacker = await net.startContainer(one, ["app"]);
    const victim = await net.startContainer(two, ["app"]);
    const routes = () => net.run(victim, "ip", "-6", "route", "show", "default");
    net.run(attacker, "ip", "-6", "address", "add", "fe80::1/64", "dev", "eth0", "nodad");
    net.run(victim, "ip", "-6", "address", "add", "fe80::2/64", "dev", "eth0", "nodad");
    net.run(attacker, attack, "advertise", "eth0");
    t.is(routes(), "");
    t.is(net.run(net.host, "ip", "-6", "route", "show", "default"), "");
    // Without the drop at the bridge's port the same claim is believed.
    net.run(net.host, "nft", "flush", "chain", "bridge", "bt-net", "prerouting");
    net.run(attacker, attack, "advertise", "eth0");
    t.regex(routes(), /^default via fe80::1 /);
    t.is(net.run(net.host, "ip", "-6", "route", "show", "default"), "");
  },
);

networkTest(
  "CVE-2020-13401: the host's end of a network takes no router advertisements",
  async (t, net) => {
    if (!existsSync("/proc/net/if_inet6")) {
      t.pass("this kernel has no IPv6");
      return;
    }
    await net.networks.ensureNetwork(spec("app"));
    const { bridge } = net.networks.list()[0] ?? { bridge: "" };
    const read = (name: string) =>
      net.run(net.host, "cat", `/proc/sys/net/ipv6/conf/${bridge}/${name}`).trim();
    t.is(read("accept_ra"), "0");
    t.is(read("disable_ipv6"), "1");
  },
);
