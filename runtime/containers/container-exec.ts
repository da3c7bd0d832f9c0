import { rareControllers } from "../cgroups/cgroup-limits.ts";
import { cgroupDirs } from "../cgroups/container-cgroup.ts";
import type { ExecSpec } from "../container-spec.ts";
import { execInContainer } from "../helper/supervisor-session.ts";
import { namespaceKinds } from "../plan/plan-namespaces.ts";
import { planProcess, resolveRunAs } from "../plan/plan-process.ts";
import { compileExec } from "../program/container-program.ts";
import { execFlag } from "../protocol.ts";
import type { ProcessSession } from "../runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import { cgroupPathOf, supervisorOf } from "./container-context.ts";

/** Runs a further process in a running container, with the same rights as its first one. */
export async function execProcess(
  context: ContainerContext,
  id: string,
  exec: ExecSpec,
  options: { readonly abort?: AbortSignal } = {},
): Promise<ProcessSession> {
  const entry = context.inventory.require(id);
  const { spec } = entry;
  const runAs = entry.runAs ?? resolveRunAs(context, spec);
  const own = planProcess(context, spec, runAs, { user: exec.user });
  const program = compileExec({
    process: {
      ...own,
      argv: exec.argv,
      environment: withOverrides(own.environment, exec.environment, exec.tty),
      workingDir: exec.workingDir ?? own.workingDir,
      terminal: exec.tty ? (exec.terminal ?? { rows: 24, columns: 80 }) : undefined,
    },
    namespaces: namespaceKinds(context, spec),
    cgroup: cgroupDirs(context.cgroups, cgroupPathOf(context, id), rareControllers(spec.resources)),
  });
  const flags =
    (exec.stdin ? execFlag.stdin : 0) |
    (exec.tty ? execFlag.tty : 0) |
    (exec.detach ? execFlag.detach : 0);
  return execInContainer(supervisorOf(context, id), { flags, program }, options);
}

function withOverrides(
  environment: readonly string[],
  overrides: Readonly<Record<string, string>>,
  tty: boolean,
): readonly string[] {
  const merged = new Map<string, string>(tty ? [["TERM", "xterm"]] : []);
  for (const entry of environment) {
    const at = entry.indexOf("=");
    merged.set(entry.slice(0, at), entry.slice(at + 1));
  }
  for (const [name, value] of Object.entries(overrides)) merged.set(name, value);
  return [...merged].map(([name, value]) => `${name}=${value}`);
}
