import type { CopySpec } from "../../runtime/program/copy-spec.ts";
import type { ProcessSession } from "../../runtime/runtime.ts";
import type { ControlContext } from "./control-context.ts";
import { resolveContainer } from "./control-names.ts";

/** What is copied in is no part of any revision, so it is written down. */
export async function copyByHand(
  { core }: ControlContext,
  name: string,
  spec: CopySpec,
): Promise<ProcessSession> {
  const container = resolveContainer(await core.view.observe(), name);
  const session = await core.runtime.copy(container.id, spec);
  if (spec.direction === "in") {
    core.events.record({
      kind: "container.copied-into-by-hand",
      app: container.app,
      target: container.name,
      message: `copy into ${container.name} by hand`,
      fields: { path: spec.path },
    });
  }
  return session;
}
