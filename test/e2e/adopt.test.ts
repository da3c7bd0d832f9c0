import { freePort } from "../builders/free-port.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();

serialKernelTest(
  "what is run by hand outlives commits, and a commit takes it over as it is",
  async (t) => {
    const port = await freePort();
    const args = ["-d", "--name", "web", "-p", `127.0.0.1:${port}:8080`, "-v", "data:/data"];
    const more = ["-e", "MODE=a$b", "-e", "DB_PASSWORD=hush", "-m", "64m", "--restart", "always"];
    t.is((await agent.ok("run", ...args, ...more, image)).trim(), "web");
    const before = await agent.container("web");
    const sha = await agent.commit({ "shop/compose.yaml": `services: {a: {image: "${image}"}}\n` });
    await agent.untilApp(
      "shop",
      ({ revision, verdict }) => revision === sha && verdict === "healthy",
    );
    t.is((await agent.container("web")).pid, before.pid);
    const hidden = await agent.berth("adopt", "web");
    t.notRegex(hidden.stdout + hidden.stderr, /hush/);
    t.regex(hidden.stderr, /DB_PASSWORD looks like a secret/);
    // Another one of its name is refused, and leaves it as it is.
    const other = `name: web\nservices: {web: {image: "${image}", container_name: web}}\n`;
    await agent.commit({ "web/compose.yaml": other });
    t.regex((await agent.berth("sync")).stderr + (await agent.ok("status")), /environment\.MODE/);
    t.is((await agent.container("web")).pid, before.pid);
    const file = await agent.ok("adopt", "--show-secrets", "web");
    const adopted = await agent.commit({ "web/compose.yaml": file });
    t.is((await agent.berth("sync")).code, 0);
    await agent.untilApp(
      "web",
      ({ revision, verdict }) => revision === adopted && verdict === "healthy",
    );
    t.like(await agent.container("web"), {
      pid: before.pid,
      startedAt: before.startedAt,
      id: before.id,
    });
    t.is((await agent.berth("plan")).code, 0);
    t.regex((await agent.berth("rm", "-f", "web")).stderr, /because git has it/);
  },
);

serialKernelTest(
  "a container that cannot start leaves nothing, and rm ends one that runs",
  async (t) => {
    const failed = await agent.berth("run", "-d", "--name", "bad", image, "--nothing");
    if (failed.code === 0) await agent.ok("rm", "-f", "bad");
    const missing = await agent.berth("run", "--name", "gone", "--entrypoint", "/none", image);
    t.is(missing.code, 1);
    t.regex(missing.stderr, /\/none/);
    await agent.ok("run", "-d", "--name", "job", image);
    t.regex((await agent.berth("rm", "job")).stderr, /stop it first/);
    await agent.ok("rm", "-f", "job");
    t.deepEqual(
      (await agent.ps()).filter(({ name }) => ["gone", "job"].includes(name)),
      [],
    );
  },
);
