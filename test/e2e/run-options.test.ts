import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTerminal } from "../cli/open-terminal.ts";
import { runBerth } from "../cli/run-berth.ts";
import { serialRegistryTest, withDockerRegistry } from "../images/docker-registry.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();
const probe = ["--init", "--entrypoint", "/bin/probe", image];
const sleeping = [...probe, "sleep", "600000"];

async function ports(name: string): Promise<readonly string[]> {
  return (await agent.container(name)).ports
    .map(({ containerPort, protocol }) => `${containerPort}/${protocol}`)
    .toSorted();
}

serialKernelTest(
  "the policy for commits does not hold for a bind mount that is run by hand",
  async (t) => {
    const place = mkdtempSync(join(tmpdir(), "bte-outside-"));
    t.teardown(() => rmSync(place, { recursive: true }));
    writeFileSync(join(place, "word"), "moored");
    const mounted = ["--rm", "-v", `${place}:/outside`, ...probe, "cat", "/outside/word"];
    t.is(await agent.ok("run", ...mounted), "moored");
    const manifest = `services: {web: {image: "${image}", volumes: ["${place}:/outside"]}}`;
    await agent.commit({ "shop/compose.yaml": manifest });
    t.regex((await agent.berth("sync")).stdout, /policy of this host does not allow/);
  },
);

serialKernelTest(
  "-P publishes what image and options expose, and a port without one of the host gets a free one",
  async (t) => {
    await agent.load("localhost/web:exposed", { ExposedPorts: { "8080/tcp": {}, "53/udp": {} } });
    const exposing = [
      "--init",
      "--entrypoint",
      "/bin/probe",
      "localhost/web:exposed",
      "sleep",
      "600000",
    ];
    const given = ["--expose", "9000-9001", "-p", "127.0.0.1::9001"];
    await agent.ok("run", "-d", "--name", "all", "-P", ...given, ...exposing);
    t.deepEqual(await ports("all"), ["53/udp", "8080/tcp", "9000/tcp", "9001/tcp"]);
    await agent.ok("run", "-d", "--init", "--name", "one", "-p", "8080", image, "--port", "8080");
    const [port] = (await agent.container("one")).ports;
    const others = (await agent.container("all")).ports.filter(
      ({ protocol }) => protocol === "tcp",
    );
    t.false(others.some(({ hostPort }) => hostPort === port?.hostPort));
    t.regex(await (await fetch(`http://127.0.0.1:${port?.hostPort}/`)).text(), /name: /);
    await agent.ok("rm", "-f", "all", "one");
  },
);

serialKernelTest("--cidfile has the id of what runs, and is none where nothing does", async (t) => {
  const file = join(agent.dir, "cid");
  await agent.ok("run", "-d", "--name", "noted", "--cidfile", file, ...sleeping);
  t.is(readFileSync(file, "utf8"), (await agent.container("noted")).id);
  const again = await agent.berth("run", "--rm", "--cidfile", file, ...probe, "exit", "0");
  t.like(again, { code: 1 });
  t.regex(again.stderr, /because it is there: remove it, or name another/);
  await agent.ok("rm", "-f", "noted");
  rmSync(file);
  await agent.ok("run", "--rm", "--cidfile", file, ...probe, "exit", "0");
  t.regex(readFileSync(file, "utf8"), /^[0-9a-f]{64}$/);
  rmSync(file);
  t.is((await agent.berth("run", "--cidfile", file, "--entrypoint", "/none", image)).code, 127);
  t.false(existsSync(file));
});

serialKernelTest("a container joins several networks, and the first has its aliases", async (t) => {
  await agent.ok("run", "-d", "--name", "north", ...sleeping);
  await agent.ok("run", "-d", "--name", "south", ...sleeping);
  const both = ["--network", "north_default", "--network", "south_default"];
  const aliases = ["--network-alias", "pier"];
  await agent.ok("run", "-d", "--name", "both", ...both, ...aliases, ...sleeping);
  const { ip } = await agent.container("both");
  t.deepEqual(Object.keys(ip).toSorted(), ["north_default", "south_default"]);
  const hosts = await agent.ok("exec", "north", "/bin/probe", "cat", "/etc/hosts");
  t.regex(hosts, new RegExp(`${ip.north_default}.* pier`));
  t.notRegex(await agent.ok("exec", "south", "/bin/probe", "cat", "/etc/hosts"), /pier/);
  const mixed = await agent.berth("run", "--network", "host", "--network", "north_default", image);
  t.like(mixed, { code: 2 });
  t.regex(mixed.stderr, /cannot join north_default with --network host/);
  const missing = await agent.berth("run", "--rm", "--network", "nowhere", image);
  t.regex(missing.stderr, /network nowhere because there are only both_default|are only north_d/);
  t.notRegex(missing.stderr, /external/);
  await agent.ok("rm", "-f", "both", "north", "south");
});

serialKernelTest("--volumes-from mounts what another container mounts", async (t) => {
  const place = join(agent.dir, "lent");
  const lent = ["-v", "ledger:/ledger", "-v", "/nameless", "-v", `${place}:/host`];
  await agent.ok("run", "-d", "--name", "lender", ...lent, ...sleeping);
  const own = ["--volumes-from", "lender:ro", "--tmpfs", "/host:size=1m"];
  const mounts = await agent.ok("run", "--rm", ...own, ...probe, "cat", "/proc/mounts");
  t.regex(mounts, / \/ledger \S+ ro,/);
  t.regex(mounts, / \/nameless \S+ ro,/);
  t.regex(mounts, / \/host tmpfs rw,/);
  const writable = ["--volumes-from", "lender", ...probe, "cat", "/proc/mounts"];
  t.regex(await agent.ok("run", "--rm", ...writable), / \/host \S+ rw,/);
  const wrong = await agent.berth("run", "--volumes-from", "lender:x", image);
  t.like(wrong, { code: 2 });
  t.regex(wrong.stderr, /NAME, NAME:ro or NAME:rw is expected/);
  const absent = await agent.berth("run", "--volumes-from", "nobody", image);
  t.regex(absent.stderr, /cannot find nobody/);
  await agent.ok("rm", "-f", "-v", "lender");
});

serialKernelTest("-a passes on the streams that it names alone", async (t) => {
  const missing = ["--entrypoint", "/bin/probe", image, "cat", "/none"];
  t.not((await agent.berth("run", "--rm", "-a", "stderr", ...missing)).stderr, "");
  t.is((await agent.berth("run", "--rm", "-a", "stdout", ...missing)).stderr, "");
  t.is((await agent.berth("run", "--rm", "-a", "stderr", ...probe, "env")).stdout, "");
  const unheard = await agent.berth("run", "--rm", "-i", "-a", "stderr", ...probe, "exit", "4");
  t.like(unheard, { code: 4, stdout: "" });
  t.is((await agent.berth("run", "-d", "-a", "stdout", image)).code, 2);
});

serialKernelTest("a wrong name or choice is a mistake of the command line", async (t) => {
  const name = await agent.berth("run", "--name", "My.App", image);
  t.like(name, { code: 2 });
  t.regex(name.stderr, /'My\.App' is invalid\. up to 63 lower-case letters/);
  const pull = await agent.berth("run", "--pull", "sometimes", image);
  t.like(pull, { code: 2 });
  t.regex(pull.stderr, /missing, always, never/);
});

serialRegistryTest(
  "a terminal shows the pull that a run waits for, unless it is to be quiet",
  async (t) => {
    await withDockerRegistry(agent.dir, async (host) => {
      const name = `${host}/shop/web:1`;
      await agent.ok("push", image, name);
      const line = (...flags: readonly string[]) => {
        const given = [...agent.globalOptions(), "--rm", "--pull", "always", ...flags];
        return ["run", ...given, "--entrypoint", "/bin/probe", name, "exit", "3"];
      };
      const berth = new URL("../../bin/berth", import.meta.url).pathname;
      const shown = openTerminal(t, [berth, ...line()].join(" "));
      t.is(await shown.code, 3);
      t.regex(shown.seen(), /resolve|download|done/);
      const quiet = openTerminal(t, [berth, ...line("-q")].join(" "));
      t.is(await quiet.code, 3);
      t.notRegex(quiet.seen(), /resolve|download|done/);
      const detached = openTerminal(t, [berth, ...line("-d")].join(" "));
      t.is(await detached.code, 0);
      t.regex(detached.seen(), /resolve|download|done/);
      t.is((await runBerth(line())).stderr, "");
    });
  },
);
