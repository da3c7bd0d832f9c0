import type { Command } from "commander";
import type { PsEntry } from "../../agent/control/control.ts";
import { call } from "../agent-client.ts";
import type { Context } from "../context.ts";
import { print, printJson } from "../terminal.ts";

/** What `inspect` tells of a container, as far as it is needed here. */
type Inspected = { readonly name: string };

/** Where the host listens for a container: `80/tcp -> 0.0.0.0:8080`. */
export async function runPort(context: Context, command: Command): Promise<undefined> {
  const name = command.args[0];
  const found = await call<Inspected>(context, "GET /v1/inspect", { name });
  const all = await call<readonly PsEntry[]>(context, "GET /v1/ps", { all: true });
  const ports = all.find((entry) => entry.name === found.name)?.ports ?? [];
  if (context.json) {
    printJson(ports);
    return;
  }
  for (const { hostIp, hostPort, containerPort, protocol } of ports) {
    const host = hostIp.includes(":") ? `[${hostIp}]` : hostIp;
    print(`${containerPort}/${protocol} -> ${host}:${hostPort}`);
  }
}
