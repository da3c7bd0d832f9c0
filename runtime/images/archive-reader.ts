import { ImageError, printable } from "./image-error.ts";
import { ARCHIVE_ENTRIES_MAX } from "./image-limits.ts";

export type ArchiveEntry =
  | {
      readonly kind: "file";
      /** Relative, normal, never with `..`. */
      readonly path: string;
      readonly size: number;
      /** Skipped by the reader where the consumer does not read it. */
      readonly body: AsyncGenerator<Buffer>;
    }
  /** Another name for a file of the same archive: a hard link, or a symbolic link that stays inside. */
  | { readonly kind: "alias"; readonly path: string; readonly target: string };

const BLOCK_BYTES = 512;
const PATH_LENGTH_MAX = 1024;
const EXTENSION_BYTES_MAX = 64 * 1024;

/**
 * Reads the tar archive around an image (POSIX pax, ustar, GNU long names), as a stream. It only tells what is
 * inside: nothing is unpacked, and what a layer holds is the helper's to read.
 */
export async function* readArchive(source: AsyncIterable<Buffer>): AsyncGenerator<ArchiveEntry> {
  const input = new ByteInput(source);
  try {
    let extension: Extension = {};
    for (let count = 0; ; ) {
      const block = await input.block();
      if (block === undefined || block.every((byte) => byte === 0)) return;
      const header = readHeader(block);
      if (extensionTypes.includes(header.type)) {
        const data = await input.small(header.size, EXTENSION_BYTES_MAX);
        extension = { ...extension, ...readExtension(header.type, data) };
        continue;
      }
      count += 1;
      if (count > ARCHIVE_ENTRIES_MAX) throw malformed("it has too many entries");
      yield* readEntry(input, header, extension);
      extension = {};
    }
  } finally {
    await input.close();
  }
}

type Header = {
  readonly path: string;
  readonly size: number;
  readonly type: string;
  readonly target: string;
};
type Extension = { readonly path?: string; readonly target?: string; readonly size?: number };

const extensionTypes: readonly string[] = ["x", "g", "L", "K"];

async function* readEntry(
  input: ByteInput,
  header: Header,
  extension: Extension,
): AsyncGenerator<ArchiveEntry> {
  const path = normalPath(extension.path ?? header.path);
  const target = extension.target ?? header.target;
  const size = extension.size ?? header.size;
  if (header.type === "0" || header.type === "\0" || header.type === "7") {
    yield { kind: "file", path, size, body: input.body(size) };
    await input.skipBody();
    await input.padding(size);
  } else if (header.type === "1") {
    yield { kind: "alias", path, target: normalPath(target) };
  } else if (header.type === "2") {
    const directory = path.includes("/") ? path.slice(0, path.lastIndexOf("/") + 1) : "";
    yield { kind: "alias", path, target: normalPath(directory + target) };
  } else if (header.type !== "5") {
    throw malformed(`entry ${printable(path, 100)} is neither a file nor a directory`);
  }
}

/** The blocks of a stream whose chunks end anywhere. */
class ByteInput {
  readonly #iterator: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  #bodyLeft = 0;

  constructor(source: AsyncIterable<Buffer>) {
    this.#iterator = source[Symbol.asyncIterator]();
  }

  /** The next 512 bytes; undefined at the end of the stream. */
  async block(): Promise<Buffer | undefined> {
    if (!(await this.#fill())) return undefined;
    return this.#exactly(BLOCK_BYTES);
  }

  /** The data of an extension header with its padding. */
  async small(size: number, bytesMax: number): Promise<Buffer> {
    if (size > bytesMax) throw malformed("an extension header is too long");
    const data = await this.#exactly(size);
    await this.padding(size);
    return data;
  }

  body(size: number): AsyncGenerator<Buffer> {
    this.#bodyLeft = size;
    return this.#rest();
  }

  /** What the consumer left of the body. */
  async skipBody(): Promise<void> {
    for await (const _ of this.#rest());
  }

  async padding(size: number): Promise<void> {
    await this.#exactly((BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES);
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }

  async *#rest(): AsyncGenerator<Buffer> {
    while (this.#bodyLeft > 0) {
      if (!(await this.#fill())) throw malformed("it ends too early");
      const part = this.#chunk.subarray(0, this.#bodyLeft);
      this.#chunk = this.#chunk.subarray(part.length);
      this.#bodyLeft -= part.length;
      yield part;
    }
  }

  async #exactly(size: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.body(size)) parts.push(part);
    return Buffer.concat(parts);
  }

  async #fill(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#iterator.next();
      if (next.done === true) return false;
      this.#chunk = next.value;
    }
    return true;
  }
}

function readHeader(block: Buffer): Header {
  let sum = 0;
  for (const [index, byte] of block.entries()) sum += index >= 148 && index < 156 ? 32 : byte;
  if (sum !== readOctal(block.subarray(148, 156))) throw malformed("a header's checksum is wrong");
  const isUstar = block.toString("latin1", 257, 262) === "ustar";
  // GNU's old format keeps other things where ustar has the prefix; it says "ustar  ".
  const hasPrefix = isUstar && block[262] === 0;
  const prefix = hasPrefix ? readString(block.subarray(345, 500)) : "";
  const name = readString(block.subarray(0, 100));
  return {
    path: prefix === "" ? name : `${prefix}/${name}`,
    size: readNumber(block.subarray(124, 136)),
    type: String.fromCharCode(block[156] ?? 0),
    target: readString(block.subarray(157, 257)),
  };
}

function readExtension(type: string, data: Buffer): Extension {
  if (type === "L") return { path: readString(data) };
  if (type === "K") return { target: readString(data) };
  // Global headers carry comments such as git's commit id; none of ours depends on them.
  return type === "g" ? {} : readPax(data);
}

/** Records of `LENGTH KEY=VALUE\n` (pax(1)). */
function readPax(data: Buffer): Extension {
  let extension: Extension = {};
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const digits = space === -1 ? "" : data.toString("latin1", at, space);
    const length = /^[1-9]\d{0,5}$/.test(digits) ? Number(digits) : 0;
    const record = data.subarray(space + 1, at + length);
    const equals = record.indexOf(0x3d);
    if (at + length > data.length || equals < 1 || record.at(-1) !== 0x0a) {
      throw malformed("a pax header is malformed");
    }
    const key = record.toString("utf8", 0, equals);
    const value = record.toString("utf8", equals + 1, record.length - 1);
    if (key === "path") extension = { ...extension, path: value };
    if (key === "linkpath") extension = { ...extension, target: value };
    if (key === "size") extension = { ...extension, size: decimal(value) };
    at += length;
  }
  return extension;
}

function decimal(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw malformed("a size is malformed");
  return Number(value);
}

function readString(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end === -1 ? field.length : end);
}

/** Octal, or GNU's base 256 when the first bit is set. */
function readNumber(field: Buffer): number {
  if (((field[0] ?? 0) & 0x80) === 0) return readOctal(field);
  const value = field.subarray(1).reduce((sum, byte) => sum * 256 + byte, (field[0] ?? 0) & 0x7f);
  if (!Number.isSafeInteger(value)) throw malformed("a size is malformed");
  return value;
}

function readOctal(field: Buffer): number {
  const digits = readString(field).trim();
  if (!/^[0-7]{0,12}$/.test(digits)) throw malformed("a number is malformed");
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

function normalPath(path: string): string {
  const parts: string[] = [];
  if (path.startsWith("/") || path.includes("\0") || path.length > PATH_LENGTH_MAX) {
    throw malformed(`the path ${printable(path, 100)} is not allowed`);
  }
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) {
      throw malformed(`the path ${printable(path, 100)} leaves the archive`);
    }
  }
  return parts.join("/");
}

function malformed(why: string): ImageError {
  return new ImageError({
    because: `the archive is not one that berth reads (${why})`,
    fix: "write it again with docker save, podman save or skopeo copy",
    kind: "stalled",
  });
}
