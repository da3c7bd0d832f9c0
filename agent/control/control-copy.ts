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
  const record = (outcome: string): void =>
    core.events.record({
      kind: "container.copied-into-by-hand",
      app: container.app,
      target: container.name,
      message: `copy into ${container.name} by hand${outcome}`,
      fields: { path: spec.path },
    });
  const partly = "part of it may be there";
  if (spec.direction === "in") {
    session.exit.then(
      ({ code }) => record(code === 0 ? "" : ` failed: ${partly}`),
      () => record(` was cut off: ${partly}`),
    );
  }
  return session;
}
