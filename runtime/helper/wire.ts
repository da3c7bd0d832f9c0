/** Encoding and decoding of message bodies and programs, as `native/protocol.h` lays them out. */
import { GrowingBuffer } from "../growing-buffer.ts";

const initialBytes = 4096;

/** Grows as it is written; `finish` returns the bytes written. */
export class WireWriter extends GrowingBuffer {
  constructor() {
    super(initialBytes);
  }

  u64(value: bigint | number): this {
    const at = this.reserve(8);
    this.buffer.writeBigUInt64LE(BigInt(value), at);
    return this;
  }

  /** Text must not contain NUL: the helper reads it as a C string. */
  string(value: string): this {
    if (value.includes("\0")) {
      throw new Error(`cannot pass ${JSON.stringify(value)} to the kernel: it contains a NUL byte`);
    }
    const length = Buffer.byteLength(value);
    this.u32(length);
    const at = this.reserve(length + 1);
    this.buffer.write(value, at, "utf8");
    this.buffer[at + length] = 0;
    return this;
  }

  bytes(value: Uint8Array): this {
    this.u32(value.length);
    const at = this.reserve(value.length + 1);
    this.buffer.set(value, at);
    this.buffer[at + value.length] = 0;
    return this;
  }

  list<T>(values: readonly T[], write: (value: T) => void): this {
    this.u32(values.length);
    for (const value of values) write(value);
    return this;
  }

  strings(values: readonly string[]): this {
    return this.list(values, (value) => this.string(value));
  }

  /** Leaves room for a u32 and returns its place for `patchU32`. */
  placeU32(): number {
    return this.reserve(4);
  }

  patchU32(place: number, value: number): void {
    this.buffer.writeUInt32LE(value, place);
  }

  finish(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}

/** Reads a body from its start; throws a RangeError when a field lies outside of it. */
export class WireReader {
  readonly #buffer: Buffer;
  #offset = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  u32(): number {
    const value = this.#buffer.readUInt32LE(this.#offset);
    this.#offset += 4;
    return value;
  }

  u64(): bigint {
    const value = this.#buffer.readBigUInt64LE(this.#offset);
    this.#offset += 8;
    return value;
  }

  bytes(): Buffer {
    const length = this.u32();
    const end = this.#offset + length;
    if (end + 1 > this.#buffer.length) {
      throw new RangeError(`cannot read ${length} bytes of a message: it ends before`);
    }
    const value = this.#buffer.subarray(this.#offset, end);
    this.#offset = end + 1;
    return value;
  }

  string(): string {
    return this.bytes().toString("utf8");
  }

  list<T>(read: () => T): T[] {
    const count = this.u32();
    if (count > this.#buffer.length) {
      throw new RangeError(`cannot read a list of ${count}: the message is shorter`);
    }
    return Array.from({ length: count }, read);
  }
}
