import { WireWriter } from "../helper/wire.ts";
import { opFlag } from "../protocol.ts";

/** A number from 0 to `SLOTS - 1`: where an operation leaves a descriptor for a later one. */
export type Slot = number;

export type OpOptions = {
  /** Any failure is passed over. */
  readonly optional?: boolean;
  /** A missing path is passed over. */
  readonly mayBeAbsent?: boolean;
};

/** The flat list that the helper carries out in order: frames operations and numbers slots. */
export class OperationList {
  readonly #writer = new WireWriter();
  #slots = 0;

  slot(): Slot {
    this.#slots += 1;
    return this.#slots - 1;
  }

  finish(): Buffer {
    return this.#writer.finish();
  }

  protected op(
    code: number,
    options: OpOptions = {},
    payload?: (writer: WireWriter) => void,
  ): this {
    const flags =
      (options.optional === true ? opFlag.optional : 0) |
      (options.mayBeAbsent === true ? opFlag.mayBeAbsent : 0);
    const place = this.#writer.u16(code).u16(flags).placeU32();
    const start = this.#writer.length;
    payload?.(this.#writer);
    this.#writer.patchU32(place, this.#writer.length - start);
    return this;
  }
}
