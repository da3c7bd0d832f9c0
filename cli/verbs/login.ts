import type { Command } from "commander";
import { call } from "../agent-client.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { askLine } from "../prompt.ts";
import { print, printable, printJson } from "../terminal.ts";

const PASSWORD_BYTES_MAX = 65_536;

/** The password comes from a pipe or a prompt, never from the command line, which others can read. */
export async function runLogin(context: Context, command: Command): Promise<undefined> {
  const { username: given, passwordStdin = false } = command.opts<{
    username?: string;
    passwordStdin?: boolean;
  }>();
  if (passwordStdin && given === undefined) {
    throw new CliError(
      2,
      "cannot log in because --password-stdin leaves no way to ask for the user: give -u NAME",
    );
  }
  const username = given ?? (await askLine("Username: ", { echo: true }));
  const password = passwordStdin
    ? await readPassword()
    : await askLine("Password: ", { echo: false });
  if (username === "" || password === "") {
    throw new CliError(
      1,
      "cannot log in because the user name or the password is empty: give both",
    );
  }
  const registry = command.args[0] ?? "";
  const answer = await call<{ registry: string }>(context, "POST /v1/login", {
    registry,
    username,
    password,
  });
  if (context.json) printJson(answer);
  else print(`logged in to ${printable(answer.registry)} as ${printable(username)}`);
}

export async function runLogout(context: Context, command: Command): Promise<undefined> {
  const registry = command.args[0] ?? "";
  const answer = await call<{ registry: string; had: boolean }>(context, "POST /v1/logout", {
    registry,
  });
  if (context.json) printJson(answer);
  else if (answer.had) print(`logged out of ${printable(answer.registry)}`);
  else print(`there were no credentials for ${printable(answer.registry)}`);
}

/** All of standard input, less one newline at its end. */
async function readPassword(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > PASSWORD_BYTES_MAX) {
      throw new CliError(
        1,
        "cannot use the password on standard input because it is larger than 64 KiB",
      );
    }
  }
  return Buffer.concat(chunks)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}
