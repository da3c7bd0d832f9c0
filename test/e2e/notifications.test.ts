import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { serveHttp, serveSmtp } from "../agent/told-places.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { eventually } from "../kernel/runtime-harness.ts";
import { sharedAgent } from "./shared-agent.ts";
import { image } from "./test-agent.ts";

const agent = sharedAgent();
const secret = "s3cret-of-this-test";

serialKernelTest(
  "how a rollout ended is told to places of every kind, again where one failed, and without a secret",
  async (t) => {
    // Each place is down when it is asked first.
    const places = await serveHttp(t, (times) => (times === 1 ? 503 : 200));
    const mail = await serveSmtp(t);
    const file = (name: string, text: string) => {
      writeFileSync(join(agent.dir, name), `${text}\n`);
      return join(agent.dir, name);
    };
    const tokenFile = file("token", secret);
    const on = ["rolled-back", "failed"];
    const forge = { kind: "commit-status", repository: "example/fleet", tokenFile, on };
    agent.configure({
      notifications: [
        { kind: "webhook", url: `${places.url}/hook`, template: '{"say":"{{message}}"}', on },
        { kind: "ntfy", url: `${places.url}/topic`, tokenFile, on },
        { kind: "slack", urlFile: file("slack", `${places.url}/slack/${secret}`), on },
        { ...forge, forge: "github", api: `${places.url}/github` },
        { ...forge, forge: "gitlab", api: `${places.url}/gitlab` },
        { ...forge, forge: "gitea", api: `${places.url}/gitea` },
        {
          kind: "smtp",
          server: "127.0.0.1",
          port: mail.port,
          security: "none",
          from: "berth@example.org",
          to: ["ops@example.org"],
          on,
        },
      ],
    });
    await agent.end("SIGTERM");
    await agent.start();
    const manifest = (...words: readonly string[]) =>
      `services: {web: {image: "${image}", environment: {DB_PASSWORD: ${secret}}, ` +
      `entrypoint: ${JSON.stringify(["/bin/probe", ...words])}}}\n`;
    await agent.deploy("told", manifest("sleep", "600000"));
    const sha = await agent.commit({ "told/compose.yaml": manifest("exit", "3") });
    const paths = [
      "/hook",
      "/topic",
      `/slack/${secret}`,
      `/github/repos/example/fleet/statuses/${sha}`,
      `/gitlab/projects/example%2Ffleet/statuses/${sha}`,
      `/gitea/repos/example/fleet/statuses/${sha}`,
    ];
    const times = (path: string) => places.requests.filter(({ url }) => url === path).length;
    await eventually(
      async () => (paths.every((path) => times(path) >= 2) ? true : undefined),
      "every place told after it had failed",
      30_000,
    );
    await eventually(async () => (/\r\n\.\r\n/.test(mail.said()) ? true : undefined), "the mail");
    const bodies = places.requests.map(({ body }) => body);
    const all = [...bodies, mail.said()];
    for (const text of all) t.notRegex(text, new RegExp(secret));
    t.true(
      all.every((text) => /told.web.1 ended with exit code 3/.test(text.replaceAll("=\r\n", ""))),
      all.join("\n"),
    );
    t.regex(agent.log, /cannot send a notification, it is tried again/);
    t.notRegex(agent.log, new RegExp(secret));
  },
);
