import type { DeviceRule } from "./device-rules.ts";

/** Device types and accesses of struct bpf_cgroup_dev_ctx (linux/bpf.h). */
const deviceType = { block: 1, character: 2 } as const;
const access = { makeNode: 1, read: 2, write: 4 } as const;
const everyAccess = access.makeNode | access.read | access.write;

/** Registers of bpf(2): 0 is the verdict, 1 the context and later scratch. */
const register = {
  verdict: 0,
  context: 1,
  scratch: 1,
  type: 2,
  access: 3,
  major: 4,
  minor: 5,
} as const;

/** Opcodes of RFC 9669: class, size or operation, and source in one byte. The 32-bit ones, as the context is. */
const opcode = {
  loadWord: 0x61,
  andConstant: 0x54,
  shiftRightConstant: 0x74,
  moveRegister: 0xbc,
  moveConstant: 0xb4,
  jumpNotEqualConstant: 0x56,
  jumpNotEqualRegister: 0x5e,
  exit: 0x95,
} as const;

type Instruction = {
  readonly opcode: number;
  readonly destination?: number;
  readonly source?: number;
  readonly offset?: number;
  readonly constant?: number;
};

const instructionBytes = 8;

/**
 * An eBPF program of type CGROUP_DEVICE: 1 when one rule allows everything that is asked for, else 0. Little-endian
 * struct bpf_insn, as bpf(2) takes them.
 */
export function deviceProgram(rules: readonly DeviceRule[]): Uint8Array {
  const instructions = [...loadContext(), ...rules.flatMap(ruleBlock), ...verdict(0)];
  const bytes = Buffer.alloc(instructions.length * instructionBytes);
  for (const [index, instruction] of instructions.entries()) {
    encode(bytes, index * instructionBytes, instruction);
  }
  return bytes;
}

/** The context's first word holds the type in its lower half and the accesses in its upper one. */
function loadContext(): readonly Instruction[] {
  const load = (destination: number, offset: number): Instruction => ({
    opcode: opcode.loadWord,
    destination,
    source: register.context,
    offset,
  });
  return [
    load(register.type, 0),
    load(register.access, 0),
    load(register.major, 4),
    load(register.minor, 8),
    { opcode: opcode.andConstant, destination: register.type, constant: 0xffff },
    { opcode: opcode.shiftRightConstant, destination: register.access, constant: 16 },
  ];
}

/** Every test that fails leaves the block, for the next rule. */
function ruleBlock(rule: DeviceRule): readonly Instruction[] {
  const tests = [...typeTest(rule), ...accessTest(rule), ...numberTests(rule)];
  const block = [...tests, ...verdict(1)];
  return block.map((instruction, index) =>
    isJump(instruction) ? { ...instruction, offset: block.length - index - 1 } : instruction,
  );
}

function typeTest({ type }: DeviceRule): readonly Instruction[] {
  return type === "all" ? [] : [notEqual(register.type, deviceType[type])];
}

function accessTest(rule: DeviceRule): readonly Instruction[] {
  const allowed =
    (rule.makeNode ? access.makeNode : 0) |
    (rule.read ? access.read : 0) |
    (rule.write ? access.write : 0);
  if (allowed === everyAccess) return [];
  return [
    { opcode: opcode.moveRegister, destination: register.scratch, source: register.access },
    { opcode: opcode.andConstant, destination: register.scratch, constant: allowed },
    {
      opcode: opcode.jumpNotEqualRegister,
      destination: register.scratch,
      source: register.access,
    },
  ];
}

function numberTests({ major, minor }: DeviceRule): readonly Instruction[] {
  return [
    ...(major === undefined ? [] : [notEqual(register.major, major)]),
    ...(minor === undefined ? [] : [notEqual(register.minor, minor)]),
  ];
}

function notEqual(destination: number, constant: number): Instruction {
  return { opcode: opcode.jumpNotEqualConstant, destination, constant };
}

function verdict(value: 0 | 1): readonly Instruction[] {
  return [
    { opcode: opcode.moveConstant, destination: register.verdict, constant: value },
    { opcode: opcode.exit },
  ];
}

function isJump(instruction: Instruction): boolean {
  return (
    instruction.opcode === opcode.jumpNotEqualConstant ||
    instruction.opcode === opcode.jumpNotEqualRegister
  );
}

function encode(bytes: Buffer, at: number, instruction: Instruction): void {
  bytes.writeUInt8(instruction.opcode, at);
  bytes.writeUInt8((instruction.destination ?? 0) | ((instruction.source ?? 0) << 4), at + 1);
  bytes.writeInt16LE(instruction.offset ?? 0, at + 2);
  bytes.writeInt32LE(instruction.constant ?? 0, at + 4);
}
