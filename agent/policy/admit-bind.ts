import type { Policy } from "./policy.ts";

/** True when the policy allows this path of the host inside a container. The path must be free of links, `.` and `..`. */
export function admitsBind(
  policy: Pick<Policy, "bindMounts">,
  mount: { readonly source: string; readonly readOnly: boolean },
): boolean {
  return policy.bindMounts.some(
    ({ path, readOnly }) =>
      (mount.readOnly || !readOnly) &&
      (path === "/" || mount.source === path || mount.source.startsWith(`${path}/`)),
  );
}
