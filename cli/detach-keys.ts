/** Ctrl-P then Ctrl-Q, typed one after the other, leave a session without ending it (as in Docker and Podman). */
const [first, second] = [0x10, 0x11];

/** Finds the detach keys in what is typed. A Ctrl-P is held back until it is known what follows. */
export class DetachKeys {
  #held = false;

  /** The bytes to pass on, and whether the keys were complete: what was typed after them is dropped. */
  filter(chunk: Buffer): { readonly bytes: Buffer; readonly detached: boolean } {
    const passed: number[] = [];
    for (const byte of chunk) {
      if (this.#held && byte === second) return { bytes: Buffer.from(passed), detached: true };
      if (this.#held) passed.push(first);
      this.#held = byte === first;
      if (!this.#held) passed.push(byte);
    }
    return { bytes: Buffer.from(passed), detached: false };
  }
}
