/** Bytes for the kernel, written one after another; little-endian, as on every architecture that berth runs on. */
export class GrowingBuffer {
  #bytes: Buffer;
  #length = 0;

  constructor(initialBytes: number) {
    this.#bytes = Buffer.alloc(initialBytes);
  }

  u8(value: number): this {
    const at = this.reserve(1);
    this.#bytes.writeUInt8(value, at);
    return this;
  }

  u16(value: number): this {
    const at = this.reserve(2);
    this.#bytes.writeUInt16LE(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.reserve(4);
    this.#bytes.writeUInt32LE(value, at);
    return this;
  }

  /** Bytes as they are, without a length. */
  raw(value: Uint8Array): this {
    const at = this.reserve(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  get length(): number {
    return this.#length;
  }

  /** What was written so far, until the next write. */
  protected get buffer(): Buffer {
    return this.#bytes;
  }

  /** Makes room for so many zero bytes and returns where they begin. */
  protected reserve(bytes: number): number {
    const at = this.#length;
    const end = at + bytes;
    if (end > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(end, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, at);
      this.#bytes = grown;
    }
    this.#length = end;
    return at;
  }
}
