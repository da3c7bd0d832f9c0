import { cleanPath } from "../compose/clean-path.ts";
import { parseShortMount } from "../compose/short-mount.ts";
import type { Node } from "../yaml/node.ts";
import { plainMapping } from "./plain-mapping.ts";

/** `SOURCE:TARGET:OPTIONS` of a service's volumes as the mapping that it stands for. */
export function longMount(node: Node): Node {
  if (node.kind !== "scalar" || typeof node.value !== "string" || node.broken === true) return node;
  const mount = parseShortMount(node.text);
  if ("code" in mount || mount.type === "tmpfs") return node;
  const { at } = node;
  // As the mount will be: who mounts there in a later layer replaces it.
  const target = mount.target.startsWith("/") ? cleanPath(mount.target) : mount.target;
  const readOnly = mount.readOnly ? true : undefined;
  if (mount.type === "volume")
    return plainMapping(at, {
      type: "volume",
      source: mount.source,
      target,
      read_only: readOnly,
      bind: mount.selinux && plainMapping(at, { selinux: mount.selinux }),
      volume: plainMapping(at, mount.copy ? {} : { nocopy: true }),
    });
  const { source, propagation, selinux } = mount;
  const bind = plainMapping(at, { create_host_path: true, propagation, selinux });
  return plainMapping(at, { type: "bind", source, target, read_only: readOnly, bind });
}
