import { z } from "zod";
import { quoteValue } from "../diagnostics.ts";
import { byKind, grammar, unsupported } from "./by-kind.ts";
import { cleanPath } from "./clean-path.ts";
import type { MountIssue, MountWish } from "./mount-wish.ts";
import { parseShortMount } from "./short-mount.ts";
import { parseMode, parseTmpfsOptions } from "./tmpfs-options.ts";
import { ByteSize, Flag, wholeNumber } from "./values.ts";

const mountTypes = ["bind", "volume", "tmpfs", "cluster", "npipe", "image"] as const;

const Recursive = z
  .enum(["enabled", "disabled", "writable", "readonly"], {
    error: "enabled or disabled is expected",
  })
  .transform((word, context) => {
    if (word === "enabled" || word === "disabled") return word === "enabled";
    context.addIssue(unsupported(`"${word}": use enabled or disabled`));
    return z.NEVER;
  });

const LongMount = z.strictObject({
  type: z.enum(mountTypes, { error: "volume, bind or tmpfs is expected" }),
  source: z.string().optional(),
  target: z.string(),
  read_only: Flag.optional(),
  bind: z
    .strictObject({
      create_host_path: Flag.optional(),
      propagation: z
        .enum(["private", "rprivate", "slave", "rslave", "shared", "rshared"], {
          error: "private, rprivate, slave, rslave, shared or rshared is expected",
        })
        .optional(),
      recursive: Recursive.optional(),
      // Told of by warnOfLabels: nothing is labelled.
      selinux: z.enum(["z", "Z"], { error: "z or Z is expected" }).optional(),
    })
    .optional(),
  consistency: z.string().optional(),
  volume: z
    .strictObject({
      nocopy: Flag.optional(),
      subpath: grammar({
        parse: (text) => (isBelow(text) ? text : undefined),
        expected: "a path below the volume's root, without . and ..",
      }).optional(),
    })
    .optional(),
  tmpfs: z
    .strictObject({
      size: ByteSize.optional(),
      mode: byKind({
        number: wholeNumber({ min: 0, max: 0o7777 }),
        string: grammar({ parse: parseMode, expected: "an octal mode such as 1777" }),
      }).optional(),
    })
    .optional(),
});
type LongMount = z.infer<typeof LongMount>;

/** One element of `volumes`, short or long. */
export const MountEntry = byKind({
  string: z.string().transform((text, context): MountWish => {
    const mount = checkMount(parseShortMount(text));
    if (!("code" in mount)) return mount;
    context.addIssue(mount);
    return z.NEVER;
  }),
  mapping: LongMount.transform((long, context): MountWish => {
    const mount = checkMount(fromLong(long));
    if (!("code" in mount)) return mount;
    context.addIssue(mount);
    return z.NEVER;
  }),
});
export type MountEntry = z.infer<typeof MountEntry>;

/** One element of `tmpfs`: `TARGET[:size=64m,mode=1777,ro]`. */
export const TmpfsEntry = byKind({
  string: z.string().transform((text, context): MountWish => {
    const mount = checkMount(parseTmpfs(text));
    if (!("code" in mount)) return mount;
    context.addIssue(mount);
    return z.NEVER;
  }),
});
export type TmpfsEntry = z.infer<typeof TmpfsEntry>;

function fromLong(long: LongMount): MountWish | MountIssue {
  const { type, source, target } = long;
  const readOnly = long.read_only ?? false;
  if (type === "volume") {
    const copy = !(long.volume?.nocopy ?? false);
    const anonymous = source === undefined || source === "";
    const subpath = long.volume?.subpath;
    if (anonymous && subpath !== undefined) return wrong("an anonymous volume has no subpath");
    return {
      type,
      ...(anonymous ? {} : { source }),
      target,
      readOnly,
      copy: copy && subpath === undefined,
      ...(subpath === undefined ? {} : { subpath }),
    };
  }
  if (type === "bind") {
    if (source === undefined) return wrong("a bind mount needs a source");
    const createHostPath = long.bind?.create_host_path ?? true;
    const { propagation, recursive } = long.bind ?? {};
    return {
      type,
      source,
      target,
      readOnly,
      createHostPath,
      ...(propagation === undefined ? {} : { propagation }),
      ...(recursive === undefined ? {} : { recursive }),
    };
  }
  if (type === "tmpfs") {
    if (source !== undefined) return wrong("a tmpfs has no source");
    const { size, mode } = long.tmpfs ?? {};
    return {
      type,
      target,
      readOnly,
      ...(size === undefined ? {} : { sizeBytes: size }),
      ...(mode === undefined ? {} : { mode }),
    };
  }
  return unsupported(`mounts of type ${type}: use volume, bind or tmpfs`);
}

/** What holds for every mount, however it was written; paths come out normalized. */
function checkMount(mount: MountWish | MountIssue): MountWish | MountIssue {
  if ("code" in mount) return mount;
  if (!mount.target.startsWith("/"))
    return wrong(`the target ${quoteValue(mount.target)} is not an absolute path`);
  const target = cleanPath(mount.target);
  if (target === "/") return wrong('the target must not be "/"');
  if (mount.type !== "bind") return { ...mount, target };
  if (mount.source.startsWith("~"))
    return unsupported(
      `${quoteValue(mount.source)} depends on whose home that is: write the absolute path`,
    );
  if (!mount.source.startsWith("/") && !mount.readOnly)
    return unsupported(
      `the writable bind mount of ${quoteValue(mount.source)}: files of the repository are mounted read-only, ` +
        "add :ro (read_only: true), or use a named volume for data",
    );
  return { ...mount, source: cleanPath(mount.source), target };
}

function parseTmpfs(text: string): MountWish | MountIssue {
  const colon = text.indexOf(":");
  const target = colon === -1 ? text : text.slice(0, colon);
  const options = parseTmpfsOptions(colon === -1 ? [] : text.slice(colon + 1).split(","));
  return "code" in options ? options : { type: "tmpfs", target, ...options };
}

function isBelow(path: string): boolean {
  return path.split("/").every((step) => step !== "" && step !== "." && step !== "..");
}

function wrong(message: string): MountIssue {
  return { code: "custom", message };
}
