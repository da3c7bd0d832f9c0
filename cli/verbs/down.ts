import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import type { StatusReport } from "../../agent/control/control.ts";
import { checkInstance } from "../../agent/store/root-owner.ts";
import { AgentAbsentError, call } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { createProgressLine } from "../progress-line.ts";
import { print, printJson } from "../terminal.ts";

const agentEndMs = 10_000;

/** Through the agent, which then ends; without one, by the same steps in this process. */
export async function runDown(context: Context, command: Command): Promise<undefined> {
  const { volumes = false, strays = false } = command.opts<{
    volumes?: boolean;
    strays?: boolean;
  }>();
  const progress = createProgressLine();
  progress.show("stopping containers");
  try {
    const { instance: owner } = await call<StatusReport>(context, "GET /v1/status");
    checkInstance(context.instance, owner, context.runDir);
    await call(context, "POST /v1/down", { volumes, strays });
    await agentEnded(context.runDir);
  } catch (error) {
    if (!(error instanceof AgentAbsentError)) throw error;
    const { downWithoutAgent } = await import("../../agent/down.ts");
    const { libDir, runDir, instance } = context;
    await downWithoutAgent({ libDir, runDir, instance, volumes, strays });
  } finally {
    progress.clear();
  }
  if (context.json) printJson({ instance: context.instance, volumes });
  else print(`${context.instance} is down${volumes ? ", its volumes are removed" : ""}`);
}

/** The last that an agent does is to take its pid away, when its files are closed: who removes them is not raced. */
async function agentEnded(runDir: string): Promise<void> {
  const deadlineMs = performance.now() + agentEndMs;
  while (existsSync(join(runDir, "agent.pid")) && performance.now() < deadlineMs) await sleep(10);
}
