import type { FileReader } from "./desired-state.ts";

/** A reader, and a way to say what it will be asked for next: the disk works while what is there is compiled. */
export type ReadAhead = FileReader & {
  /** The first time for a file: the next `read` that asks for as many bytes gets the answer. */
  begin(path: string, bytesMax: number): void;
};

export function readAhead(reader: FileReader): ReadAhead {
  const begun = new Map<string, Promise<Uint8Array | undefined>>();
  const seen = new Set<string>();
  const keyOf = (path: string, bytesMax: number) => `${bytesMax} ${path}`;
  return {
    list: () => reader.list(),
    others: () => reader.others(),
    isExecutable: (path) => reader.isExecutable(path),
    ...contentNames(reader),
    begin(path, bytesMax) {
      const key = keyOf(path, bytesMax);
      if (seen.has(key)) return;
      seen.add(key);
      const reading = reader.read(path, bytesMax);
      // Whoever asks hears of it.
      reading.catch(() => {});
      begun.set(key, reading);
    },
    read(path, bytesMax) {
      const key = keyOf(path, bytesMax);
      const reading = begun.get(key);
      begun.delete(key);
      seen.add(key);
      return reading ?? reader.read(path, bytesMax);
    },
  };
}

function contentNames(reader: FileReader): Pick<FileReader, "contentName"> {
  if (reader.contentName === undefined) return {};
  return { contentName: (path) => reader.contentName?.(path) };
}
