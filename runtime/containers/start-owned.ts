import { SupervisorClient } from "../helper/supervisor-client.ts";
import { attachToContainer } from "../helper/supervisor-session.ts";
import type { OwnerOptions, ProcessSession } from "../runtime.ts";
import { type ContainerContext, pathsOf } from "./container-context.ts";

export type Begun = {
  readonly pid: number;
  readonly startedAtMs: number;
  /** Its owner's, where it has one. */
  readonly session: ProcessSession | undefined;
};

/**
 * Lets a container that is held run, after it was attached to: its owner misses nothing of what it writes. Rejects when
 * its program cannot be executed; the container is then still to be ended.
 */
export async function releaseToOwner(
  context: ContainerContext,
  id: string,
  { stdin, terminal }: OwnerOptions,
): Promise<ProcessSession> {
  const { socket: socketPath } = pathsOf(context, id);
  const session = await attachToContainer({ socketPath }, { stdin, owner: true });
  try {
    if (terminal !== undefined) session.resize(terminal);
    const { client } = await SupervisorClient.connect(socketPath);
    await client.release().finally(() => client.close());
    return session;
  } catch (error) {
    session.close();
    throw error;
  }
}
