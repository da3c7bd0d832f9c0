/** An assembler of classic BPF that writes from the last instruction to the first. */

// linux/bpf_common.h
const loadWord = 0x20; // BPF_LD | BPF_W | BPF_ABS
const jumpAlways = 0x05; // BPF_JMP | BPF_JA
const returnConstant = 0x06; // BPF_RET | BPF_K
const andConstant = 0x54; // BPF_ALU | BPF_AND | BPF_K
const jumpCodes = { equal: 0x15, greater: 0x25, greaterOrEqual: 0x35 } as const;

const instructionBytes = 8;
/** BPF_MAXINSNS */
const instructionsMax = 4096;
/** jt and jf are one byte. */
const shortJumpMax = 255;

/** A place in the program: the number of instructions from it (inclusive) to the end. */
export type Label = number;

export type Comparison = keyof typeof jumpCodes;

/**
 * Jumps of BPF only go forward, so what is jumped to is written first. Labels stay valid while more is written before
 * them; a conditional jump to a label that has come to lie too far away gets a step of its own in between.
 */
export class BpfAssembler {
  /** Last instruction first. */
  readonly #code: { code: number; jumpTrue: number; jumpFalse: number; constant: number }[] = [];
  readonly #returns = new Map<number, Label>();

  /** A place that returns this value. Shared where an earlier one is within reach of a short jump. */
  return(value: number): Label {
    const known = this.#returns.get(value);
    if (known !== undefined && this.#isNear(known)) return known;
    const label = this.#write(returnConstant, value);
    this.#returns.set(value, label);
    return label;
  }

  /** Loads the 32-bit word at this offset of `struct seccomp_data`, then goes on at `next`. */
  load(offset: number, next: Label): Label {
    this.#fallInto(next);
    return this.#write(loadWord, offset);
  }

  and(mask: number, next: Label): Label {
    this.#fallInto(next);
    return this.#write(andConstant, mask);
  }

  /** Compares the accumulator (unsigned) with the constant. */
  jump(comparison: Comparison, constant: number, whenTrue: Label, whenFalse: Label): Label {
    let [near, other] = [this.#bringNear(whenTrue), this.#bringNear(whenFalse)];
    // The step written for the second may have pushed the first out of reach.
    near = this.#bringNear(near);
    other = this.#bringNear(other);
    const at = this.#code.length;
    return this.#write(jumpCodes[comparison], constant, at - near, at - other);
  }

  /** `struct sock_filter[]`, little-endian, beginning at `entry`. */
  finish(entry: Label): Uint8Array {
    this.#fallInto(entry);
    const count = this.#code.length;
    if (count > instructionsMax) {
      throw new Error(
        `cannot load a seccomp filter of ${count} instructions because the kernel takes ${instructionsMax}: fewer rules with conditions are expected`,
      );
    }
    const bytes = new Uint8Array(count * instructionBytes);
    const view = new DataView(bytes.buffer);
    for (const [index, { code, jumpTrue, jumpFalse, constant }] of this.#code.entries()) {
      const at = (count - 1 - index) * instructionBytes;
      view.setUint16(at, code, true);
      view.setUint8(at + 2, jumpTrue);
      view.setUint8(at + 3, jumpFalse);
      view.setUint32(at + 4, constant, true);
    }
    return bytes;
  }

  #isNear(label: Label): boolean {
    // Two places are kept free for steps that a jump may need before itself.
    return this.#code.length - label <= shortJumpMax - 2;
  }

  #bringNear(label: Label): Label {
    if (this.#code.length - label <= shortJumpMax) return label;
    const target = this.#code[label - 1];
    if (target?.code === returnConstant) return this.return(target.constant);
    return this.#write(jumpAlways, this.#code.length - label);
  }

  #fallInto(label: Label): void {
    if (label !== this.#code.length) this.#write(jumpAlways, this.#code.length - label);
  }

  #write(code: number, constant: number, jumpTrue = 0, jumpFalse = 0): Label {
    this.#code.push({ code, jumpTrue, jumpFalse, constant: constant >>> 0 });
    return this.#code.length;
  }
}
