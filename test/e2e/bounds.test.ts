import { existsSync } from "node:fs";
import test, { type ExecutionContext } from "ava";
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
      t.regex(await rolledBack(manifest(...words)), evidence);
    }
    const records = JSON.parse(await agent.ok("history", "--json", "held")) as RolloutReport[];
    t.is(records.filter(({ verdict }) => verdict === "rolled-back").length, failures.length);
    // As much as before, twice nearly: within its bound.
    await healthy(manifest("eat-memory", "12"));
    t.pass();
  },
);

const checked = (every: number) => `
services:
  web:
    image: ${image}
    environment: { EVERY: "${every}" }
    healthcheck:
      test: [CMD, /bin/probe, every, "${every}", /tmp/checks]
      interval: 500ms
      retries: 5
    x-berth: { bounds: { failed-checks: 20% } }
`;

serialKernelTest(
  "a revision that fails far more of its healthchecks than the one before is rolled back, though it is never unhealthy",
  async (t) => {
    await healthy(checked(1_000_000));
    t.regex(
      await rolledBack(checked(2)),
      /held-web-1 failed \d+ of \d+ healthchecks \([\d.]+ %\) where the revision before failed 0 % of them, and 20 % more/,
    );
    // One in ten is within its bound.
    await healthy(checked(10));
  },
);

const waits = "cpu.pressure of a cgroup";
(hasCpuPressure() ? serialKernelTest : skipped)(
  "a revision that waits for CPU longer than its bound allows is rolled back by what the kernel counted",
  async (t) => {
    const bound = (...words: readonly string[]) =>
      manifest(...words).replace(/bounds: \{.*?\}/, "bounds: { cpu-pressure: 30% }");
    await healthy(bound("sleep", "600000"));
    t.regex(
      await rolledBack(bound("burn", "600000")),
      /held-web-1 waited for CPU time in [\d.]+ % of \d+ s, and 30 % are allowed/,
    );
  },
);

/** PSI may be left out of a kernel, or be switched off at its start (psi.rst). */
function hasCpuPressure(): boolean {
  return ["/sys/fs/cgroup/cpu.pressure", "/sys/fs/cgroup/unified/cpu.pressure"].some((path) =>
    existsSync(path),
  );
}

function skipped(title: string, run: (t: ExecutionContext) => Promise<void>): void {
  test.skip(`${title} (this kernel has no ${waits})`, run);
}

/** Commits, and resolves with the reason once it was taken back. */
async function rolledBack(text: string): Promise<string> {
  const sha = await agent.commit({ "held/compose.yaml": text });
  const status = await agent.untilStatus(
    ({ apps, quarantined }) =>
      quarantined.includes(sha) &&
      apps.some(({ name, verdict }) => name === "held" && verdict === "rolled-back"),
    "the revision taken back",
    60_000,
  );
  return status.apps.find(({ name }) => name === "held")?.reason ?? "";
}

/** The verdict waits for the time that bounds are judged by. */
async function healthy(text: string): Promise<void> {
  const sha = await agent.commit({ "held/compose.yaml": text });
  const isHealthy = ({ verdict, revision }: AppReport) => verdict === "healthy" && revision === sha;
  await agent.untilApp("held", isHealthy, 60_000);
}
