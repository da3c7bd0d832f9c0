import type { Command } from "commander";
import type { AgentOptions } from "../../agent/settings/agent-options.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";

/** The agent in this process, until SIGTERM or SIGINT; a second one does not wait for anything. */
export async function runAgentVerb(context: Context, command: Command): Promise<undefined> {
  const { config, policy, ...given } = command.opts<
    Partial<AgentOptions> & { config?: string; policy?: string }
  >();
  if (given.repo === undefined && config === undefined) {
    throw new CliError(
      2,
      "cannot start the agent because no repository is named: give --repo, or --config with `repo:`",
    );
  }
  const { libDir, runDir, instance } = context;
  const abort = abortOnSignals();
  const { runAgent } = await import("../../agent/run-agent.ts");
  await runAgent(
    {
      repo: given.repo,
      ref: given.ref,
      path: given.path,
      host: given.host,
      interval: given.interval,
      listen: given.listen,
      configFile: config,
      policyFile: policy,
      libDir,
      runDir,
      instance,
    },
    abort,
  );
}

function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  const codes = { SIGINT: 130, SIGTERM: 143 } as const;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(codes[signal]);
      controller.abort(new Error(`the agent was ended by ${signal}`));
    });
  }
  // A terminal that closes must not end the agent half-way; systemd sends SIGHUP to nobody.
  process.on("SIGHUP", () => undefined);
  return controller.signal;
}
