/** Writes small ustar archives for tests and the demo (POSIX.1-1988 ustar). */
export type TarEntry =
  | {
      readonly type: "file";
      readonly path: string;
      readonly content: Uint8Array;
      readonly mode?: number;
    }
  | { readonly type: "directory"; readonly path: string; readonly mode?: number }
  | { readonly type: "symlink"; readonly path: string; readonly target: string }
  | { readonly type: "fifo"; readonly path: string };

const blockBytes = 512;
const typeFlags = { file: "0", symlink: "2", directory: "5", fifo: "6" } as const;

/** Owner root, time 0: the same entries give the same bytes. */
export function buildTar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => {
    const content = entry.type === "file" ? entry.content : new Uint8Array();
    const padding = Buffer.alloc((blockBytes - (content.length % blockBytes)) % blockBytes);
    return [header(entry, content.length), content, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * blockBytes)]);
}

function header(entry: TarEntry, size: number): Buffer {
  const block = Buffer.alloc(blockBytes);
  const mode = "mode" in entry ? (entry.mode ?? 0o755) : 0o777;
  block.write(entry.path, 0, 100);
  block.write(octal(mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(0, 11), 136);
  block.write("        ", 148);
  block.write(typeFlags[entry.type], 156);
  if (entry.type === "symlink") block.write(entry.target, 157, 100);
  block.write("ustar\x0000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}
