import type { Command } from "commander";
import type { NetworkReport, VolumeReport } from "../../agent/control/resource-control.ts";
import type { FileChange } from "../../runtime/runtime.ts";
import { call } from "../agent-client.ts";
import { CliError } from "../cli-error.ts";
import type { Context } from "../context.ts";
import { formatSince } from "../figures.ts";
import { formatTable } from "../table.ts";
import { print, printable, printJson } from "../terminal.ts";

/** One line a change, as docker-diff(1): A added, C changed, D deleted. */
export async function runDiff(context: Context, command: Command): Promise<undefined> {
  const changes = await call<readonly FileChange[]>(context, "GET /v1/diff", {
    name: command.args[0],
  });
  if (context.json) printJson(changes);
  else for (const { kind, path } of changes) print(`${kind} ${printable(path)}`);
}

export async function runVolume(context: Context, command: Command): Promise<undefined> {
  const [action, ...names] = command.args;
  if (action === "rm") {
    for (const name of needed(names)) {
      await call(context, "POST /v1/volumes/remove", { name });
      if (!context.json) print(name);
    }
    return;
  }
  const volumes = await call<readonly VolumeReport[]>(context, "GET /v1/volumes");
  if (action === "inspect") {
    show(context, "volume", volumes, needed(names));
    return;
  }
  if (context.json) printJson(volumes);
  else
    print(
      formatTable(
        ["NAME", "CREATED", "USED BY", "PATH"],
        volumes.map(({ name, createdAt, usedBy, path }) => [
          name,
          formatSince(createdAt),
          usedBy.join(" ") || "-",
          path,
        ]),
      ),
    );
}

export async function runNetwork(context: Context, command: Command): Promise<undefined> {
  const [action, ...names] = command.args;
  const networks = await call<readonly NetworkReport[]>(context, "GET /v1/networks");
  if (action === "inspect") {
    show(context, "network", networks, needed(names));
    return;
  }
  if (context.json) printJson(networks);
  else
    print(
      formatTable(
        ["NAME", "SUBNET", "GATEWAY", "BRIDGE", "INTERNAL", "CONTAINERS"],
        networks.map(({ name, subnet, gateway, bridge, internal, containers }) => [
          name,
          subnet,
          gateway,
          bridge,
          internal ? "yes" : "no",
          String(Object.keys(containers).length),
        ]),
      ),
    );
}

/** An array in any case, as other tools print it. */
function show(
  context: Context,
  kind: string,
  all: readonly { readonly name: string }[],
  names: readonly string[],
): void {
  const found = names.map((name) => {
    const one = all.find((item) => item.name === name);
    if (one !== undefined) return one;
    const there = all.map((item) => item.name).join(", ") || "none";
    throw new CliError(1, `cannot find a ${kind} ${name}: there are ${there}`);
  });
  if (context.json) printJson(found);
  else print(JSON.stringify(found, null, 2));
}

function needed(names: readonly string[]): readonly string[] {
  if (names.length === 0) throw new CliError(2, "cannot tell which is meant: give a name");
  return names;
}
