import { posix } from "node:path";
import { z } from "zod";
import { quoteValue } from "../diagnostics.ts";
import { byKind, mapOf, only, unsupported } from "./by-kind.ts";
import { External } from "./external.ts";
import { ObjectName } from "./object-name.ts";
import { parseTmpfsOptions, type TmpfsOptions } from "./tmpfs-options.ts";
import { KeyValues } from "./values.ts";

/** What a volume of the local driver with options stands for. */
export type VolumeSource =
  | { readonly kind: "bind"; readonly path: string; readonly readOnly: boolean }
  | ({ readonly kind: "tmpfs" } & TmpfsOptions);

const Options = byKind({ mapping: mapOf(z.union([z.string(), z.number()]).transform(String)) });

/** `type`, `o` and `device` as mount(8) takes them. */
const DriverOptions = Options.transform((options, context): VolumeSource | undefined => {
  const other = [...options.keys()].find((key) => !["type", "o", "device"].includes(key));
  if (other !== undefined) {
    context.addIssue({
      ...unsupported("this option of a driver: type, o and device are there"),
      path: [other],
    });
    return z.NEVER;
  }
  const [type = "", o = "", device = ""] = ["type", "o", "device"].map((key) => options.get(key));
  const words = o.split(",").filter((word) => word !== "");
  if (options.size === 0) return undefined;
  if (
    (type === "none" || type === "" || type === "bind") &&
    words.some((word) => word === "bind" || word === "rbind")
  ) {
    if (device.startsWith("/"))
      return { kind: "bind", path: posix.normalize(device), readOnly: words.includes("ro") };
    const message = `${quoteValue(device)} is not an absolute path of the host`;
    context.addIssue({ code: "custom", message, path: ["device"] });
    return z.NEVER;
  }
  if (type === "tmpfs") {
    const parsed = parseTmpfsOptions(words);
    if (!("code" in parsed)) return { kind: "tmpfs", ...parsed };
    context.addIssue({ ...parsed, path: ["o"] });
    return z.NEVER;
  }
  const what = type === "" ? "a volume without a type" : `a volume of type ${type}`;
  context.addIssue({
    ...unsupported(
      `${what}: mount it on the host and bind-mount it (type: none, o: bind), or use tmpfs`,
    ),
    path: ["type"],
  });
  return z.NEVER;
});

const VolumeFields = z.strictObject({
  driver: only("local", "local is the only driver").optional(),
  driver_opts: DriverOptions.optional(),
  external: External.optional(),
  labels: KeyValues.optional(),
  name: ObjectName.optional(),
});

/** A top-level volume; null takes every default. */
export const VolumeModel = byKind({
  null: z.null().transform((): z.infer<typeof VolumeFields> => ({})),
  mapping: VolumeFields,
});
export type VolumeModel = z.infer<typeof VolumeModel>;
