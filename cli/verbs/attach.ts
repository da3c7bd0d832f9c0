import type { Command } from "commander";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { DetachKeys } from "../detach-keys.ts";
import { openExec } from "../exec-client.ts";
import { enterRawMode, followSize, forwardSignals } from "./exec.ts";

type AttachOptions = { readonly stdin?: boolean };

/** Ends with the exit code of the container, with 0 when the detach keys were typed. */
export async function runAttach(context: Context, command: Command): Promise<number> {
  const { stdin = true } = command.opts<AttachOptions>();
  const [name = ""] = command.args;
  const { stdout, stderr } = process;
  const request = { name, stdin };
  const client = await openExec({ context, path: "/v1/attach", request, stdout, stderr });
  let undo = (): void => undefined;
  try {
    const { tty } = await client.started;
    const raw = tty && stdin && process.stdin.isTTY;
    const leave = tty ? (): void => undefined : forwardSignals(client);
    const restore = raw ? enterRawMode() : (): void => undefined;
    undo = () => {
      restore();
      leave();
    };
    if (tty) followSize(client);
    if (stdin) client.sendInput(process.stdin, raw ? new DetachKeys() : undefined);
    const exit = await Promise.race([client.exit, client.detached]);
    if (exit === undefined) return 0;
    if (exit.signal !== null) return 128 + exit.signal;
    if (exit.code !== null) return exit.code;
    throw new CliError(1, `cannot say how ${name} ended because its status was lost`);
  } finally {
    undo();
    client.close();
    process.stdin.destroy();
  }
}
