import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { serveRepository } from "./git-server.ts";
import { sharedAgent } from "./shared-agent.ts";
import { makeKey, serveSsh } from "./ssh-server.ts";
import { bareRepository, image } from "./test-agent.ts";

const agent = sharedAgent();
const manifest = (greeting: string) =>
  `services: { web: { image: "${image}", environment: { GREETING: "${greeting}" } } }\n`;
const bareDir = join(agent.dir, "bare.git");

serialKernelTest(
  "a repository over https is followed where its authority is trusted, and only there",
  async (t) => {
    await agent.deploy("shop", manifest("local"));
    await bareRepository(bareDir, agent.fleet);
    const authority = makeCertificate(agent.dir);
    const tls = { key: readFileSync(authority.key), cert: readFileSync(authority.cert) };
    const server = await serveRepository(bareDir, { tls });
    try {
      agent.configure({ repo: server.url, interval: "1s" });
      const { source } = await agent.untilStatus(
        (status) => status.source.url === server.url && status.source.error !== null,
        "a refused certificate",
      );
      t.regex(source.error ?? "", /certificate/);
      agent.configure({ git: { caFile: authority.cert } });
      await deployed("https");
      t.regex(await agent.ok("exec", "shop-web-1", "/bin/probe", "env"), /GREETING=https/);
    } finally {
      await server.close();
    }
  },
);

serialKernelTest(
  "a repository over ssh is followed with the key of the config file, from a known host only",
  async (t) => {
    const server = await serveSsh(agent.dir);
    try {
      const { knownHosts, clientKey: sshKey } = server;
      const repo = `${server.url}${bareDir}`;
      agent.configure({ repo, git: { sshKey } });
      await refused(repo, /Host key verification failed/);
      agent.configure({ git: { sshKey: makeKey(join(agent.dir, "stranger")), knownHosts } });
      await refused(repo, /Permission denied/);
      agent.configure({ git: { sshKey, knownHosts } });
      await deployed("ssh");
      t.regex(await agent.ok("exec", "shop-web-1", "/bin/probe", "env"), /GREETING=ssh/);
    } finally {
      await server.close();
    }
  },
);

serialKernelTest("a signed webhook makes the agent fetch at once", async (t) => {
  const secretFile = join(agent.dir, "webhook.secret");
  const secret = "a secret of this host";
  writeFileSync(secretFile, `${secret}\n`);
  const server = await serveRepository(bareDir, {});
  try {
    agent.configure({ repo: server.url, interval: "1h", webhook: { secretFile } });
    await agent.end("SIGTERM");
    await agent.start();
    const before = await agent.untilStatus(({ source }) => source.url === server.url, "the URL");
    const sha = await agent.commit({ "shop/compose.yaml": manifest("hook") });
    await agent.fleet.git("push", "--quiet", bareDir, "main");
    t.not(before.wanted, sha);
    const answer = await fetch(`${agent.url}/hook`, {
      method: "POST",
      headers: { "x-gitlab-token": secret },
      body: "{}",
    });
    t.is(answer.status, 202);
    await agent.untilApp("shop", (app) => app.revision === sha && app.verdict === "healthy");
  } finally {
    await server.close();
  }
});

serialKernelTest(
  "a branch that was rewound changes nothing, until the operator says so once",
  async (t) => {
    agent.configure({ repo: agent.fleet.dir, interval: "1h" });
    const [first, second] = [await deployLocally("first"), await deployLocally("second")];
    await agent.fleet.git("reset", "--quiet", "--hard", first);
    const { errors, wanted } = await agent.untilStatus(
      (status) => status.errors.length > 0,
      "a refusal",
    );
    t.is(wanted, second);
    t.regex(errors[0] ?? "", /was rewound or rewritten.*berth sync --allow-rewrite/);
    const { code, stdout } = await agent.berth("sync");
    t.is(code, 1);
    t.regex(stdout, /does not contain/);
    t.regex(await agent.ok("sync", "--allow-rewrite"), new RegExp(`${first.slice(0, 12)} healthy`));
    t.regex(await agent.ok("exec", "shop-web-1", "/bin/probe", "env"), /GREETING=first/);
    t.regex(await agent.ok("events"), new RegExp(`revision ${first.slice(0, 12)} was accepted: `));
  },
);

async function deployLocally(greeting: string): Promise<string> {
  const { revision } = await agent.deploy("shop", manifest(greeting));
  return revision;
}

/** Commits and pushes, and waits until it runs. */
async function deployed(greeting: string): Promise<void> {
  const sha = await agent.commit({ "shop/compose.yaml": manifest(greeting) });
  await agent.fleet.git("push", "--quiet", bareDir, "main");
  await agent.untilApp("shop", (app) => app.revision === sha && app.verdict === "healthy", 30_000);
}

async function refused(url: string, reason: RegExp): Promise<void> {
  await agent.untilStatus(
    ({ source }) => source.url === url && reason.test(source.error ?? ""),
    `a refusal for ${reason}`,
  );
}

/** Signed by itself, for 127.0.0.1. */
function makeCertificate(dir: string): { readonly key: string; readonly cert: string } {
  const [key, cert] = [join(dir, "tls.key"), join(dir, "tls.pem")];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const files = ["-keyout", key, "-out", cert];
  execFileSync(
    "openssl",
    ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", ...files, ...subject],
    { stdio: "ignore" },
  );
  return { key, cert };
}
