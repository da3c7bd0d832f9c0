import type { FileReader } from "../../manifests/desired-state.ts";

/** A commit made of the given files: path -> text or bytes. */
export function readTree(
  files: Readonly<Record<string, string | Uint8Array>>,
  odd: { readonly executables?: readonly string[]; readonly others?: readonly string[] } = {},
): FileReader {
  const contents = new Map(
    Object.entries(files).map(([path, content]) => [
      path,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    ]),
  );
  return {
    list: () => Promise.resolve([...contents.keys()].sort()),
    read: (path, bytesMax) => {
      const bytes = contents.get(path);
      if (bytes !== undefined && bytes.length > bytesMax)
        return Promise.reject(Object.assign(new Error(`${path} is too large`), { code: "EFBIG" }));
      return Promise.resolve(bytes);
    },
    isExecutable: (path) => Promise.resolve(odd.executables?.includes(path) === true),
    others: () => Promise.resolve(odd.others ?? []),
  };
}
