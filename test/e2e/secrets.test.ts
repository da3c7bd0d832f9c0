import { execFile } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { encryptAge, newIdentity } from "../../manifests/secrets/age.ts";
import { encryptSops } from "../../manifests/secrets/sops-file.ts";
import { runBerth } from "../cli/run-berth.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const run = promisify(execFile);
const agent = sharedAgent();
const identityFile = join(agent.dir, "identity.txt");

const manifest = (secrets: string) => `
services:
  web:
    image: ${image}
    user: "1000"
    secrets: ${secrets}
secrets:
  pw: { file: pw.age }
  conf: { file: conf.enc.yaml }
`;

const probe = (name: string, ...args: readonly string[]) =>
  agent.berth("exec", name, "/bin/probe", ...args);

let recipient = "";
const age = (text: string) => encryptAge(Buffer.from(text), [recipient]);

/** Every file that the agent keeps on disk or answers with, in which a plain secret must not stand. */
async function allThatIsKept(): Promise<string> {
  const files = ["lib", "run"].flatMap((part) =>
    readdirSync(join(agent.dir, part), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  const answers = await Promise.all([
    agent.ok("inspect", "vault-web-1"),
    agent.ok("events", "--json"),
    agent.ok("status", "--json"),
    agent.ok("why", "vault-web-1").catch(() => ""),
    runBerth(["config", agent.fleet.dir, "--host", "test-host"]).then(({ stdout }) => stdout),
    agent.get("/metrics").then(({ body }) => body),
  ]);
  return [agent.log, ...files.map((file) => readFileSync(file, "latin1")), ...answers].join("\n");
}

serialKernelTest(
  "secrets are decrypted on the host and mounted from memory, nowhere else",
  async (t) => {
    const made = await newIdentity();
    recipient = made.recipient;
    writeFileSync(identityFile, `# mine\n${made.identity}\n`, { mode: 0o600 });
    agent.configure({ identityFile });
    const yaml = "user: bob\npassword: sesame-open-yaml\n";
    const conf = await encryptSops({
      format: "yaml",
      plain: yaml,
      recipients: [recipient],
      now: () => new Date(),
    });
    t.false(conf.includes("sesame"));
    await agent.commit({
      "vault/compose.yaml": manifest(
        "[pw, {source: conf, target: /etc/app/conf.yaml, uid: '1000', gid: '7', mode: 0440}]",
      ),
      "vault/pw.age": await age("sesame-open-age"),
      "vault/conf.enc.yaml": conf,
    });
    await agent.untilContainer("vault-web-1", ({ state }) => state === "running");
    t.is((await probe("vault-web-1", "cat", "/run/secrets/pw")).stdout, "sesame-open-age");
    t.is((await probe("vault-web-1", "cat", "/etc/app/conf.yaml")).stdout, yaml);
    const mounts = (await probe("vault-web-1", "cat", "/proc/self/mountinfo")).stdout.split("\n");
    for (const target of ["/run/secrets", "/etc/app/conf.yaml"]) {
      const line = mounts.find((each) => each.split(" ")[4] === target) ?? "";
      t.regex(line, / ro,nosuid,nodev,noexec\S* (?:.* )?- tmpfs /, target);
    }
    const { pid } = await agent.container("vault-web-1");
    const { stdout } = await run("stat", ["-c", "%a %u %g", `/proc/${pid}/root/etc/app/conf.yaml`]);
    const [mode, uid, gid] = stdout.trim().split(" ").map(Number);
    const base = Number((await run("stat", ["-c", "%u", `/proc/${pid}/root/run/secrets`])).stdout);
    t.deepEqual([mode, (uid ?? 0) - base, (gid ?? 0) - base], [440, 1000, 7]);
    t.not((await probe("vault-web-1", "write", "/run/secrets/pw", "x")).code, 0);
    // The host's own mounts show nothing of it.
    t.false(readFileSync("/proc/self/mountinfo", "utf8").includes("/run/secrets"));
    t.false((await allThatIsKept()).includes("sesame-open"));
  },
);

serialKernelTest(
  "another content makes the service anew, the same content encrypted again does not",
  async (t) => {
    const before = await agent.container("vault-web-1");
    const sha = await agent.commit({ "vault/pw.age": await age("sesame-open-age") });
    await eventually(
      async () => ((await agent.status()).wanted === sha ? true : undefined),
      "the re-encrypted revision",
    );
    await agent.untilApp(
      "vault",
      ({ verdict, revision }) => verdict === "healthy" && revision === sha,
    );
    t.is((await agent.container("vault-web-1")).id, before.id);
    await agent.ok("restart", "vault-web-1");
    t.is((await probe("vault-web-1", "cat", "/run/secrets/pw")).stdout, "sesame-open-age");
    await agent.commit({ "vault/pw.age": await age("sesame-open-new") });
    const after = await agent.untilContainer(
      "vault-web-1",
      ({ id, state }) => id !== before.id && state === "running",
    );
    t.is((await probe("vault-web-1", "cat", "/run/secrets/pw")).stdout, "sesame-open-new");
    t.not(after.id, before.id);
    t.false((await allThatIsKept()).includes("sesame-open"));
  },
);

serialKernelTest(
  "what this host cannot decrypt, or was changed, changes nothing and is told by name",
  async (t) => {
    const before = await agent.container("vault-web-1");
    const foreign = await encryptAge(Buffer.from("sesame-open-other"), [
      (await newIdentity()).recipient,
    ]);
    const conf = readFileSync(join(agent.fleet.dir, "vault/conf.enc.yaml"), "utf8");
    await agent.commit({
      "vault/pw.age": foreign,
      "vault/conf.enc.yaml": conf.replace(/^user: .*\n/, ""),
    });
    const errors = await eventually(async () => {
      const found = (await agent.status()).errors;
      return found.length > 0 ? found : undefined;
    }, "a refused commit");
    t.is(errors.length, 2);
    t.regex(errors[0] ?? "", /^vault\/conf\.enc\.yaml:1:1: .*MAC does not fit/);
    t.regex(errors[1] ?? "", /^vault\/pw\.age:1:1: .*not encrypted to this host/);
    t.is((await agent.container("vault-web-1")).id, before.id);
    await agent.ok("restart", "vault-web-1");
    t.is((await probe("vault-web-1", "cat", "/run/secrets/pw")).stdout, "sesame-open-new");
  },
);

serialKernelTest(
  "after the agent was killed a container starts again with its secrets",
  async (t) => {
    await agent.end("SIGKILL");
    await agent.start();
    await agent.ok("restart", "vault-web-1");
    t.is((await probe("vault-web-1", "cat", "/run/secrets/pw")).stdout, "sesame-open-new");
  },
);
