import { posix, resolve } from "node:path";
import { CliError } from "./cli-error.ts";

/** One end of a copy, read as docker-cp(1) does. */
export type CopyEnd =
  | { readonly kind: "stream" }
  | { readonly kind: "host"; readonly path: string }
  | { readonly kind: "container"; readonly name: string; readonly path: string };

/** `-`, `NAME:PATH`, or a path of this host; one with a colon begins with `/` or `./`. */
export function parseCopyEnd(text: string): CopyEnd {
  if (text === "-") return { kind: "stream" };
  const colon = text.indexOf(":");
  if (colon === -1 || text.startsWith("/") || text.startsWith(".")) {
    if (text === "") throw new CliError(2, "cannot copy because a path is empty: give both");
    return { kind: "host", path: text };
  }
  const [name, path] = [text.slice(0, colon), text.slice(colon + 1)];
  if (name === "" || path === "") {
    throw new CliError(
      2,
      `cannot copy because '${text}' is no NAME:PATH: both are needed, and a path of this host with a colon begins with ./`,
    );
  }
  return { kind: "container", name, path };
}

/** What the source is called in a directory that it is put into; `contents`: not it is meant, but what is in it. */
export function sourceNameOf(end: CopyEnd): { readonly name: string; readonly contents: boolean } {
  if (end.kind === "stream") return { name: "", contents: false };
  const contents = /(?:^|\/)\.\/*$/.test(end.path);
  const absolute = end.kind === "host" ? resolve(end.path) : posix.resolve("/", end.path);
  const name = posix.basename(absolute);
  return { name, contents: contents || name === "" };
}
