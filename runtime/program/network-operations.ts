import { op, SLOT_NONE } from "../protocol.ts";
import { HandoffOperations } from "./handoff-operations.ts";
import type { OpOptions, Slot } from "./operation-list.ts";

/** What is asked of the kernel's network, and what takes it back when the start fails. */
export class NetworkOperations extends HandoffOperations {
  netlink(
    family: number,
    messages: Uint8Array,
    options: { readonly patchOffset?: number; readonly replies?: boolean } & OpOptions = {},
  ): this {
    return this.op(op.netlink, options, (w) =>
      w
        .u32(family)
        .u32(options.patchOffset ?? SLOT_NONE)
        .u32(options.replies === true ? 1 : 0)
        .bytes(messages),
    );
  }

  /** Host's part: sent in the network namespace of a slot, or in its own. */
  netlinkIn(
    family: number,
    messages: Uint8Array,
    options: {
      readonly namespace?: Slot;
      /** The number of this slot's descriptor is written into the messages. */
      readonly patch?: { readonly offset: number; readonly slot: Slot };
      /** What a failure is about. */
      readonly about: string;
    },
  ): this {
    return this.op(op.netlinkIn, {}, (w) =>
      w
        .u32(options.namespace ?? SLOT_NONE)
        .u32(family)
        .u32(options.patch?.offset ?? SLOT_NONE)
        .u32(options.patch?.slot ?? SLOT_NONE)
        .string(options.about)
        .bytes(messages),
    );
  }

  /** Host's part of a start: operations for the case that it fails from here on. Slots are those of this program. */
  undo(operations: Uint8Array): this {
    return this.op(op.undo, {}, (w) => w.bytes(operations));
  }
}
