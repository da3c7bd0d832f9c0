import { mkdirSync, statSync } from "node:fs";
import type { ContainerContext } from "./container-context.ts";
import { pathsOf } from "./container-context.ts";
import type { ContainerSpec, Mount } from "./container-spec.ts";
import type { HostMount, TmpfsMount } from "./rootfs-program.ts";

/** Resolves a container's mounts to host paths. Throws when a bind source is missing. */
export function resolveMounts(
  context: ContainerContext,
  spec: ContainerSpec,
): { readonly mounts: readonly HostMount[]; readonly tmpfs: readonly TmpfsMount[] } {
  const own = ["hosts", "resolv.conf", "hostname"].map(
    (name): HostMount => ({
      source: `${pathsOf(context, spec.id).etc}/${name}`,
      target: `/etc/${name}`,
      readOnly: false,
      kind: "file",
      recursive: false,
      ids: "store",
    }),
  );
  const targets = new Set(spec.mounts.map(({ target }) => target));
  return {
    mounts: [
      ...own.filter(({ target }) => !targets.has(target)),
      ...spec.mounts.flatMap((mount) => hostMount(context, spec, mount)),
    ],
    tmpfs: spec.mounts.filter((mount) => mount.type === "tmpfs"),
  };
}

function hostMount(context: ContainerContext, spec: ContainerSpec, mount: Mount): HostMount[] {
  switch (mount.type) {
    case "tmpfs":
      return [];
    case "volume":
      return [
        {
          source: context.volumes.path(mount.volume),
          target: mount.target,
          readOnly: mount.readOnly,
          kind: "directory",
          recursive: false,
          ids: "store",
        },
      ];
    case "bind":
      return [
        {
          source: mount.source,
          target: mount.target,
          readOnly: mount.readOnly,
          kind: bindKind(spec, mount),
          recursive: true,
          ids: "host",
        },
      ];
    default:
      return mount satisfies never;
  }
}

function bindKind(
  spec: ContainerSpec,
  mount: Extract<Mount, { type: "bind" }>,
): "directory" | "file" {
  const found = statSync(mount.source, { throwIfNoEntry: false });
  if (found !== undefined) return found.isDirectory() ? "directory" : "file";
  if (!mount.createHostPath) {
    throw new Error(
      `cannot start ${spec.name} because the bind source ${mount.source} does not exist: create it, or set create_host_path`,
    );
  }
  mkdirSync(mount.source, { recursive: true, mode: 0o755 });
  return "directory";
}
