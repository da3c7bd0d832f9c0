/** Runs a `struct sock_filter[]` as the kernel does, and refuses what its checker refuses. */

export type SeccompData = {
  readonly number: number;
  readonly architecture: number;
  readonly arguments: readonly bigint[];
};

type Instruction = {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly constant: number;
};

export function decodeProgram(bytes: Uint8Array): readonly Instruction[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const program: Instruction[] = [];
  for (let at = 0; at < bytes.length; at += 8) {
    program.push({
      code: view.getUint16(at, true),
      jumpTrue: view.getUint8(at + 2),
      jumpFalse: view.getUint8(at + 3),
      constant: view.getUint32(at + 4, true),
    });
  }
  return program;
}

/** The value that the program returns. Throws on an instruction, offset or end that the kernel would not accept. */
export function runProgram(program: readonly Instruction[], data: SeccompData): number {
  const words = toWords(data);
  let accumulator = 0;
  for (let at = 0; at < program.length; at++) {
    const instruction = program[at];
    if (!instruction) break;
    const { code, constant, jumpTrue, jumpFalse } = instruction;
    const branch = (condition: boolean): number => (condition ? jumpTrue : jumpFalse);
    if (code === 0x20) accumulator = wordAt(words, constant);
    else if (code === 0x54) accumulator = (accumulator & constant) >>> 0;
    else if (code === 0x05) at += constant;
    else if (code === 0x15) at += branch(accumulator === constant);
    else if (code === 0x25) at += branch(accumulator > constant);
    else if (code === 0x35) at += branch(accumulator >= constant);
    else if (code === 0x06) return constant;
    else throw new Error(`unknown instruction 0x${code.toString(16)} at ${at}`);
  }
  throw new Error("the program ran over its end");
}

function toWords(data: SeccompData): readonly number[] {
  const words = [data.number >>> 0, data.architecture, 0, 0];
  for (let index = 0; index < 6; index++) {
    const argument = data.arguments[index] ?? 0n;
    words.push(Number(argument & 0xffffffffn), Number(argument >> 32n));
  }
  return words;
}

function wordAt(words: readonly number[], offset: number): number {
  const word = words[offset / 4];
  if (word === undefined) throw new Error(`load from offset ${offset}`);
  return word;
}
