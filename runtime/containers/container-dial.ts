import { HelperError } from "../helper/helper-error.ts";
import { execInContainer } from "../helper/supervisor-session.ts";
import { namespaceKinds } from "../plan/plan-namespaces.ts";
import { compileDial } from "../program/dial-program.ts";
import type { DialSpec } from "../program/dial-spec.ts";
import { execFlag } from "../protocol.ts";
import type { ProcessSession } from "../runtime.ts";
import type { ContainerContext } from "./container-context.ts";
import { supervisorOf } from "./container-context.ts";

/** Connects to a port from within a running container's network. */
export function dialInContainer(
  context: ContainerContext,
  id: string,
  dial: DialSpec,
  options: { readonly abort?: AbortSignal } = {},
): Promise<ProcessSession> {
  const { spec } = context.inventory.require(id);
  const program = compileDial(dial, namespaceKinds(context, spec));
  const flags = dial.relay ? execFlag.stdin : 0;
  const started = execInContainer(supervisorOf(context, id), { flags, program }, options);
  return started.catch((cause: unknown) => {
    if (!(cause instanceof HelperError) || cause.code !== "EBADMSG") throw cause;
    // The supervisor is as old as the container's start.
    throw new Error(
      `cannot connect from within ${spec.name} because it was started by an older berth: restart it`,
      { cause },
    );
  });
}
