import type { Mount } from "../runtime/container-spec.ts";
import { call } from "./agent-client.ts";
import { CliError } from "./cli-error.ts";
import type { Context } from "./context.ts";

/** A mount of Compose's long form. */
export type BorrowedMount = {
  readonly type: "volume" | "bind";
  readonly source: string;
  readonly target: string;
  readonly read_only: boolean;
};

/** What the containers of `--volumes-from NAME[:ro]` mount of volumes and of the host; of a target the last one counts. */
export async function borrowMounts(
  context: Context,
  from: readonly string[],
): Promise<readonly BorrowedMount[]> {
  const byTarget = new Map<string, BorrowedMount>();
  for (const text of from) {
    const [, name = text, mode] = /^([^:]+)(?::(.*))?$/.exec(text) ?? [];
    if (mode !== undefined && mode !== "ro" && mode !== "rw")
      throw new CliError(
        2,
        `--volumes-from ${text} says '${mode}': NAME, NAME:ro or NAME:rw is expected`,
      );
    for (const mount of await mountsOf(context, name)) {
      const borrowed = borrow(mount, mode === "ro");
      if (borrowed !== undefined) byTarget.set(borrowed.target, borrowed);
    }
  }
  return [...byTarget.values()];
}

async function mountsOf(context: Context, name: string): Promise<readonly Mount[]> {
  type Inspected = {
    readonly kind: string;
    readonly spec?: { readonly mounts?: readonly Mount[] };
  };
  const { kind, spec } = await call<Inspected>(context, "GET /v1/inspect", { name });
  if (kind === "container") return spec?.mounts ?? [];
  throw new CliError(
    1,
    `cannot take the volumes of ${name} because it is no container: 'berth ps -a' lists them`,
  );
}

function borrow(mount: Mount, isReadOnly: boolean): BorrowedMount | undefined {
  if (mount.type !== "volume" && mount.type !== "bind") return undefined;
  const { type, target, readOnly } = mount;
  const source = mount.type === "volume" ? mount.volume : mount.source;
  return { type, source, target, read_only: readOnly || isReadOnly };
}
