/** What a process asks of a device, as struct bpf_cgroup_dev_ctx (linux/bpf.h) hands it to a program. */
export type DeviceRequest = {
  readonly type: number;
  readonly access: number;
  readonly major: number;
  readonly minor: number;
};

/**
 * Carries out an eBPF program by RFC 9669, as far as device programs go; returns register 0. Throws on what the kernel's
 * verifier would refuse: an unknown instruction, a jump backwards or out of the program, a missing end.
 */
export function runDeviceProgram(program: Uint8Array, request: DeviceRequest): number {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const context = [request.type | (request.access << 16), request.major, request.minor];
  const registers = new Map<number, number>();
  const read = (register: number): number => {
    const value = registers.get(register);
    if (value === undefined) throw new Error(`register ${register} is read before it is set`);
    return value;
  };
  for (let at = 0; at < program.length; at += 8) {
    const destination = view.getUint8(at + 1) & 0xf;
    const source = view.getUint8(at + 1) >> 4;
    const offset = view.getInt16(at + 2, true);
    const constant = view.getInt32(at + 4, true);
    const jump = (taken: boolean): void => {
      if (offset < 0 || at + 8 * (offset + 1) >= program.length) throw new Error("jump leaves");
      if (taken) at += 8 * offset;
    };
    switch (view.getUint8(at)) {
      case 0x61:
        if (source !== 1 || offset % 4 !== 0) throw new Error("load is not of the context");
        registers.set(destination, (context[offset / 4] ?? Number.NaN) >>> 0);
        break;
      case 0x54:
        registers.set(destination, (read(destination) & constant) >>> 0);
        break;
      case 0x74:
        registers.set(destination, read(destination) >>> constant);
        break;
      case 0xbc:
        registers.set(destination, read(source));
        break;
      case 0xb4:
        registers.set(destination, constant >>> 0);
        break;
      case 0x56:
        jump(read(destination) !== constant >>> 0);
        break;
      case 0x5e:
        jump(read(destination) !== read(source));
        break;
      case 0x95:
        return read(0);
      default:
        throw new Error(`unknown instruction ${view.getUint8(at)}`);
    }
  }
  throw new Error("the program runs off its end");
}
