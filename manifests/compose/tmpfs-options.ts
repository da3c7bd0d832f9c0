import { quoteValue } from "../diagnostics.ts";
import { unsupported } from "./by-kind.ts";
import type { MountIssue } from "./mount-wish.ts";
import { ByteSize } from "./values.ts";

export type TmpfsOptions = {
  readonly sizeBytes?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly exec?: boolean;
  readonly readOnly: boolean;
};

/** `size=64m`, `mode=1777`, `uid=1000`, `ro`, … as mount(8) takes them for a tmpfs. */
export function parseTmpfsOptions(words: readonly string[]): TmpfsOptions | MountIssue {
  let options: TmpfsOptions = { readOnly: false };
  for (const word of words) {
    const [key = "", value = ""] = word.split(/=(.*)/s);
    if (key === "size") {
      const size = ByteSize.safeParse(value);
      if (!size.success) return wrong(`${quoteValue(word)} is not a size such as size=64m`);
      options = { ...options, sizeBytes: size.data };
    } else if (key === "mode") {
      const mode = parseMode(value);
      if (mode === undefined) return wrong(`${quoteValue(word)} is not an octal mode`);
      options = { ...options, mode };
    } else if (key === "uid" || key === "gid") {
      if (!/^[0-9]{1,5}$/.test(value)) return wrong(`${quoteValue(word)} is not an id`);
      options = { ...options, [key]: Number(value) };
    } else if (word === "exec" || word === "noexec") {
      options = { ...options, exec: word === "exec" };
    } else if (word === "ro" || word === "rw") {
      options = { ...options, readOnly: word === "ro" };
    } else if (!tmpfsDefaults.has(word)) {
      return unsupported(
        `the tmpfs option ${quoteValue(word)}: size, mode, uid, gid, exec, ro and rw are there`,
      );
    }
  }
  return options;
}

/** `1777`, `0755`, `0o755`. */
export function parseMode(text: string): number | undefined {
  return /^0?o?[0-7]{1,4}$/.test(text) ? Number.parseInt(text.replace("o", ""), 8) : undefined;
}

/** What every tmpfs has anyway. */
const tmpfsDefaults = new Set(["nosuid", "nodev"]);

function wrong(message: string): MountIssue {
  return { code: "custom", message };
}
