import type { Machine } from "./machine.ts";

/** The emulation failed, not what was tested: the test is to run again, in another guest. */
export class EmulationFault extends Error {
  override readonly name = "EmulationFault";
}

/**
 * Threads of Node that the guest's kernel ended by a fault: V8 finds its memory inconsistent, or crashes, under software
 * emulation now and then, on some hosts more often than not. Programs of ours have other names.
 */
const faults =
  "dmesg | grep -E '(node|MainThread|V8Worker|DelayedTaskSche|SignalInspector|libuv-worker)[^ ]*\\[[0-9]+\\]:? " +
  "(segfault at|trap int3|trap invalid opcode|general protection)' || true";

/** Throws when a fault ended Node in this guest: what it shows from then on tells nothing of berth. */
export async function checkEmulation(guest: Machine): Promise<void> {
  const found = await guest.run(faults);
  if (found !== "") throw new EmulationFault(`the emulation ended Node: ${found}`);
}
