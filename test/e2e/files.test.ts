import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();

const manifest = (volumes: string, rest = "") => `
services:
  web:
    image: ${image}
    volumes: ${volumes}
    ${rest}
`;

const trees = () => {
  const directory = join(agent.dir, "lib", "trees");
  return existsSync(directory) ? readdirSync(directory).sort() : [];
};

const cat = (name: string, path: string) => agent.berth("exec", name, "/bin/probe", "cat", path);

serialKernelTest(
  "files of a commit are mounted read-only, and a change of them is a change of the service",
  async (t) => {
    await agent.commit({
      "site/compose.yaml": manifest("['./conf:/etc/site:ro', './run.sh:/run.sh:ro']"),
      "site/conf/site.conf": "one\n",
      "site/conf/deep/more": "more\n",
      "site/run.sh": "#!/bin/sh\n",
    });
    await agent.untilContainer("site-web-1", ({ state }) => state === "running");
    t.is((await cat("site-web-1", "/etc/site/site.conf")).stdout, "one\n");
    t.is((await cat("site-web-1", "/etc/site/deep/more")).stdout, "more\n");
    t.is((await cat("site-web-1", "/run.sh")).stdout, "#!/bin/sh\n");
    const written = await agent.berth(
      "exec",
      "site-web-1",
      "/bin/probe",
      "write",
      "/etc/site/x",
      "y",
    );
    t.not(written.code, 0);
    t.regex(written.stdout + written.stderr, /EROFS|[Rr]ead-only/);

    const before = await agent.container("site-web-1");
    await agent.commit({ "site/conf/site.conf": "two\n", "other/README": "nothing\n" });
    const after = await agent.untilContainer(
      "site-web-1",
      ({ id, state }) => id !== before.id && state === "running",
    );
    t.is((await cat("site-web-1", "/etc/site/site.conf")).stdout, "two\n");
    const why = await agent.inspect<{ reason: readonly { field: string }[] }>("site-web-1");
    t.regex(JSON.stringify(why), /mounts/);

    // A file beside them that nobody mounts changes nothing.
    await agent.commit({ "site/README": "hello\n" });
    await agent.untilApp("site", ({ verdict }) => verdict === "healthy");
    t.is((await agent.container("site-web-1")).id, after.id);
  },
);

serialKernelTest(
  "with on-config-change a changed file reaches the process that runs, and a bad one is taken back",
  async (t) => {
    const reloading = `
services:
  web:
    image: ${image}
    entrypoint: ["/bin/probe", "on-hup", "/etc/web.conf"]
    volumes: ["./web.conf:/etc/web.conf:ro"]
    restart: always
    x-berth: { on-config-change: "signal:SIGHUP" }
`;
    const log = async () => (await agent.berth("logs", "hup-web-1")).stdout;
    const untilLogged = (text: string) =>
      eventually(
        async () => ((await log()).includes(text) ? true : undefined),
        `${text} in the log`,
      );
    const first = await agent.commit({ "hup/compose.yaml": reloading, "hup/web.conf": "one\n" });
    await agent.untilApp(
      "hup",
      ({ verdict, revision }) => verdict === "healthy" && revision === first,
    );
    const { id, pid } = await agent.container("hup-web-1");
    const second = await agent.commit({ "hup/web.conf": "two\n" });
    await untilLogged("two\n");
    await agent.untilApp(
      "hup",
      ({ verdict, revision }) => verdict === "healthy" && revision === second,
    );
    t.like(await agent.container("hup-web-1"), { id, pid });
    t.regex(await agent.ok("why", "hup/web"), /mounts\.\/etc\/web\.conf\.tree/);
    t.regex(await agent.ok("events"), /hup-web-1 was given its changed files and SIGHUP/);

    const bad = await agent.commit({ "hup/web.conf": "bad\n" });
    await agent.untilStatus(
      ({ apps, quarantined }) =>
        quarantined.includes(bad) &&
        apps.some(({ name, verdict }) => name === "hup" && verdict === "rolled-back"),
      "the bad file taken back",
    );
    await eventually(
      async () => ((await log()).endsWith("two\n") ? true : undefined),
      "the good file again",
      10_000,
    );
    t.is((await cat("hup-web-1", "/etc/web.conf")).stdout, "two\n");
  },
);

serialKernelTest(
  "what left git stays where a container has it, and goes with the last one",
  async (t) => {
    await agent.commit({
      "kept/compose.yaml": manifest("['./file:/file:ro']"),
      "kept/file": "still here\n",
    });
    await agent.untilContainer("kept-web-1", ({ state }) => state === "running");
    // The commit is invalid without the file: nothing changes, and nothing is taken away.
    await agent.commit({ "kept/file": null });
    await eventually(
      async () => ((await agent.status()).errors.length > 0 ? true : undefined),
      "a refused commit",
    );
    t.regex((await agent.status()).errors[0] ?? "", /there is no "kept\/file" in the revision/);
    t.is((await cat("kept-web-1", "/file")).stdout, "still here\n");
    await agent.ok("restart", "kept-web-1");
    t.is((await cat("kept-web-1", "/file")).stdout, "still here\n");
  },
);

serialKernelTest("a killed agent leaves trees whole, and the next one serves them", async (t) => {
  await agent.commit({
    "crash/compose.yaml": manifest("['./file:/file:ro']"),
    "crash/file": "before\n",
    "kept/file": "back\n",
  });
  await agent.untilContainer("crash-web-1", ({ state }) => state === "running");
  await agent.end("SIGKILL");
  await agent.commit({ "crash/file": "after\n" });
  await agent.start();
  await eventually(
    async () => ((await cat("crash-web-1", "/file")).stdout === "after\n" ? true : undefined),
    "the new content",
  );
  t.true(trees().every((name) => /^[0-9a-f]{64}$/.test(name)));
});
