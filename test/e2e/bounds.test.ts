import type { RolloutReport } from "../../agent/control/rollout-control.ts";
import { serialKernelTest } from "../kernel/kernel-test.ts";
import { sharedAgent } from "./shared-agent.ts";
import { type AppReport, image } from "./test-agent.ts";

const agent = sharedAgent();

const manifest = (...words: readonly string[]) => `
services:
  web:
    image: ${image}
    entrypoint: ${JSON.stringify(["/bin/probe", ...words])}
    cpus: 0.1
    restart: always
    x-berth: { bounds: { cpu-throttled: 60%, memory-growth: 100% } }
`;

serialKernelTest(
  "a revision that is throttled, or needs far more memory than the one before, is rolled back with the figures",
  async (t) => {
    await healthy(manifest("eat-memory", "8"));
    const failures = [
      [["burn", "600000"], /held-web-1 was throttled in [\d.]+ % of its CPU periods, and 60 % are/],
      [
        ["eat-memory", "32"],
        /held-web-1 uses [\d.]+ MiB of memory where the revision before used [\d.]+ MiB/,
      ],
    ] as const;
    for (const [words, evidence] of failures) {
      const sha = await agent.commit({ "held/compose.yaml": manifest(...words) });
      const status = await agent.untilStatus(
        ({ apps, quarantined }) =>
          quarantined.includes(sha) &&
          apps.some(({ name, verdict }) => name === "held" && verdict === "rolled-back"),
        `${words.join(" ")} taken back`,
        60_000,
      );
      t.regex(status.apps.find(({ name }) => name === "held")?.reason ?? "", evidence);
    }
    const records = JSON.parse(await agent.ok("history", "--json", "held")) as RolloutReport[];
    t.is(records.filter(({ verdict }) => verdict === "rolled-back").length, failures.length);
    // As much as before, twice nearly: within its bound.
    await healthy(manifest("eat-memory", "12"));
    t.pass();
  },
);

/** The verdict waits for the time that bounds are judged by. */
async function healthy(text: string): Promise<void> {
  const sha = await agent.commit({ "held/compose.yaml": text });
  const isHealthy = ({ verdict, revision }: AppReport) => verdict === "healthy" && revision === sha;
  await agent.untilApp("held", isHealthy, 60_000);
}
