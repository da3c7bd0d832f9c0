/** A file of an archive. Fewer or more bytes than `size` are an error. */
export type ArchiveFile = {
  /** At most 100 bytes. */
  readonly path: string;
  readonly size: number;
  readonly body: AsyncIterable<Uint8Array>;
};

const BLOCK_BYTES = 512;
const OCTAL_SIZE_MAX = 0o77777777777;

/**
 * A tar archive (POSIX.1-1988 ustar; GNU's base 256 for sizes from 8 GiB on) of regular files and the directories that
 * they lie in. Owner root, time 0: the same files give the same bytes.
 */
export async function* writeArchive(
  files: AsyncIterable<ArchiveFile> | Iterable<ArchiveFile>,
): AsyncGenerator<Uint8Array> {
  const made = new Set<string>();
  for await (const { path, size, body } of files) {
    for (const directory of parents(path)) {
      if (made.has(directory)) continue;
      made.add(directory);
      yield header({ path: `${directory}/`, size: 0, mode: 0o755, type: "5" });
    }
    yield header({ path, size, mode: 0o644, type: "0" });
    let bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.length;
      yield chunk;
    }
    if (bytes !== size) throw new Error(`${path} has ${bytes} bytes, ${size} were announced`);
    const rest = size % BLOCK_BYTES;
    if (rest > 0) yield new Uint8Array(BLOCK_BYTES - rest);
  }
  yield new Uint8Array(2 * BLOCK_BYTES);
}

/** `a` and `a/b` of `a/b/c`. */
function parents(path: string): readonly string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

function header(entry: {
  readonly path: string;
  readonly size: number;
  readonly mode: number;
  readonly type: "0" | "5";
}): Uint8Array {
  if (Buffer.byteLength(entry.path) > 100) throw new Error(`${entry.path} is too long a name`);
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(entry.path, 0);
  block.write(octal(entry.mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  if (entry.size <= OCTAL_SIZE_MAX) block.write(octal(entry.size, 11), 124);
  else {
    block.writeUInt8(0x80, 124);
    block.writeBigUInt64BE(BigInt(entry.size), 128);
  }
  block.write(octal(0, 11), 136);
  block.write(" ".repeat(8), 148);
  block.write(entry.type, 156);
  block.write("ustar\x0000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}
