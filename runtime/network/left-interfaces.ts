import type { Log } from "../runtime.ts";
import type { Bridges } from "./bridges.ts";
import { macOfAddress } from "./ipv4.ts";
import { hostInterfaceIndex } from "./network-names.ts";
import type { StoredLease } from "./network-store.ts";

/** The kernel is done with a namespace within some 50 ms of its last process, unless somebody holds it. */
const removeAfterMs = 1000;

/**
 * Host ends of veth pairs whose container has ended, and is started again under other names. Removing one takes the kernel
 * some 20 ms, in which it makes no other interface, and mostly it is about to do so by itself.
 */
export class LeftInterfaces {
  readonly #bridges: Bridges;
  readonly #log: Log;

  constructor(options: { readonly bridges: Bridges; readonly log: Log }) {
    this.#bridges = options.bridges;
    this.#log = options.log;
  }

  /**
   * The bridge sends nothing there any more: frames to the container's hardware address would go there until it sends one
   * itself. What is still there after a second is removed. Without a pin it says nothing meanwhile.
   */
  async leave(leases: readonly StoredLease[]): Promise<void> {
    for (const { hostInterface, address, mac } of leases) {
      await this.#bridges.forgetStation(
        hostInterfaceIndex(hostInterface),
        mac ?? macOfAddress(address),
      );
      setTimeout(() => this.#remove(hostInterface), removeAfterMs).unref();
    }
  }

  #remove(name: string): void {
    this.#bridges.remove(name).catch((error: unknown) => {
      this.#log.warn("interface of an ended container stays for now", {
        name,
        error: String(error),
      });
    });
  }
}
