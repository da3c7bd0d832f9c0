import type { MountPropagation } from "../desired-state.ts";
import { quoteValue } from "../diagnostics.ts";
import type { MountIssue, MountWish } from "./mount-wish.ts";

/**
 * `TARGET`, `SOURCE:TARGET` or `SOURCE:TARGET:OPTIONS`: what begins like a path is a bind
 * mount, the rest a volume.
 */
export function parseShortMount(text: string): (MountWish & Labelled) | MountIssue {
  const parts = text.split(":");
  const [first = "", second, options, ...rest] = parts;
  if (parts.includes("") || rest.length > 0) return bad(text);
  if (second === undefined) return { type: "volume", target: first, readOnly: false, copy: true };
  const found = readOptions(options);
  if ("code" in found) return found;
  const { readOnly, copy, propagation, ...labelled } = found;
  if (!/^[./~]/.test(first))
    return { type: "volume", source: first, target: second, readOnly, copy, ...labelled };
  return {
    type: "bind",
    source: first,
    target: second,
    readOnly,
    createHostPath: true,
    ...(propagation === undefined ? {} : { propagation }),
    ...labelled,
  };
}

/** How SELinux is to label what is mounted: shared, or for one container. */
export type Labelled = { readonly selinux?: "z" | "Z" };

type ShortOptions = Labelled & {
  readonly readOnly: boolean;
  readonly copy: boolean;
  readonly propagation?: MountPropagation;
};

function readOptions(options: string | undefined): ShortOptions | MountIssue {
  let found: ShortOptions = { readOnly: false, copy: true };
  for (const option of options?.split(",") ?? []) {
    const propagation = propagations.find((name) => name === option);
    if (option === "ro" || option === "rw") found = { ...found, readOnly: option === "ro" };
    else if (option === "nocopy") found = { ...found, copy: false };
    else if (propagation !== undefined) found = { ...found, propagation };
    else if (option === "z" || option === "Z") found = { ...found, selinux: option };
    else if (!consistencies.has(option))
      return { code: "custom", message: `${quoteValue(option)} is not an option of a mount` };
  }
  return found;
}

const propagations = ["private", "rprivate", "slave", "rslave", "shared", "rshared"] as const;

/** Modes of Docker Desktop, without effect on Linux. */
const consistencies = new Set(["cached", "consistent", "delegated"]);

function bad(text: string): MountIssue {
  return {
    code: "custom",
    message: `${quoteValue(text)} is not a mount: [SOURCE:]TARGET[:ro] is expected`,
  };
}
