import { cgroupProcesses } from "../cgroups/container-cgroup.ts";
import { LauncherLostError, type Started, type StartRequest } from "../helper/launcher.ts";
import { readIdentity } from "../helper/process-identity.ts";
import { SupervisorClient } from "../helper/supervisor-client.ts";
import { signalNumber } from "../plan/signals.ts";
import { type ContainerContext, pathsOf, supervisorsCgroupOf } from "./container-context.ts";

const patienceMs = 10_000;
const delayMs = 10;

/** Starts a container once, also when the launcher is killed meanwhile. */
export async function launchOnce(
  context: ContainerContext,
  id: string,
  request: StartRequest,
): Promise<Started> {
  try {
    return await context.launcher.start(request);
  } catch (error) {
    const found = error instanceof LauncherLostError ? await findLostStart(context, id) : undefined;
    if (found === undefined) throw error;
    return found;
  }
}

/**
 * A start whose answer was lost, because the launcher or an earlier agent was killed, may still be under way: its
 * supervisor depends on neither. Resolves once it runs, or with undefined once it cannot come up any more; to start the
 * container again before that would make two of it.
 */
export async function findLostStart(
  context: ContainerContext,
  id: string,
): Promise<Started | undefined> {
  for (let waitedMs = 0; waitedMs < patienceMs; waitedMs += delayMs) {
    // Asked before the socket is: who gives up meanwhile is looked for once more.
    const isUnsettled = unknownHelpers(context).length > 0;
    const found = await askSupervisor(context, id);
    if (found !== undefined || !isUnsettled) return found;
    await new Promise((resolve) => {
      setTimeout(resolve, delayMs);
    });
  }
  context.log.warn("helper processes that nobody waits for are still at work", {
    id,
    pids: unknownHelpers(context).join(","),
  });
  return undefined;
}

async function askSupervisor(context: ContainerContext, id: string): Promise<Started | undefined> {
  try {
    const { client, state } = await SupervisorClient.connect(pathsOf(context, id).socket);
    if (state.phase === "held") await endHeld(client);
    client.close();
    const supervisor = readIdentity(state.supervisorPid);
    if (state.phase !== "running" || supervisor === undefined) return undefined;
    return { process: state.process, supervisor };
  } catch {
    return undefined;
  }
}

/** Who was to have it is gone. */
async function endHeld(client: SupervisorClient): Promise<void> {
  await client.signal(signalNumber("SIGKILL"), true);
  await client.ended;
}

/** Neither the launcher nor the supervisor of a container that is known to run. */
function unknownHelpers(context: ContainerContext): readonly number[] {
  const known = new Set([context.launcher.pid]);
  for (const { supervisor } of context.inventory.all()) known.add(supervisor?.pid);
  return cgroupProcesses(context.cgroups, supervisorsCgroupOf(context)).filter(
    (pid) => !known.has(pid),
  );
}
