import type { Command } from "commander";
import type { StatusReport } from "../../agent/control/control.ts";
import { checkInstance } from "../../agent/store/root-owner.ts";
import { AgentAbsentError, call } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { createProgressLine } from "../progress-line.ts";
import { print, printJson } from "../terminal.ts";

/** Through the agent, which then ends; without one, by the same steps in this process. */
export async function runDown(context: Context, command: Command): Promise<undefined> {
  const { volumes = false } = command.opts<{ volumes?: boolean }>();
  const progress = createProgressLine();
  progress.show("stopping containers");
  try {
    const { instance: owner } = await call<StatusReport>(context, "GET /v1/status");
    checkInstance(context.instance, owner, context.runDir);
    await call(context, "POST /v1/down", { volumes });
  } catch (error) {
    if (!(error instanceof AgentAbsentError)) throw error;
    const { downWithoutAgent } = await import("../../agent/down.ts");
    const { libDir, runDir, instance } = context;
    await downWithoutAgent({ libDir, runDir, instance, volumes });
  } finally {
    progress.clear();
  }
  if (context.json) printJson({ instance: context.instance, volumes });
  else print(`${context.instance} is down${volumes ? ", its volumes are removed" : ""}`);
}
