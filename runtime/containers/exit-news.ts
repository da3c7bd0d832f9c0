import type { ExitListener, ExitRecord } from "../runtime.ts";
import type { Inventory } from "./inventory.ts";

/** Tells of each end of a container once, also of those before anybody listened. */
export class ExitNews {
  readonly #inventory: Inventory;
  readonly #listeners: ExitListener[] = [];
  readonly #untold: { readonly id: string; readonly exit: ExitRecord }[] = [];

  constructor(inventory: Inventory) {
    this.#inventory = inventory;
  }

  listen(listener: ExitListener): void {
    this.#listeners.push(listener);
    for (const { id, exit } of this.#untold.splice(0)) this.#deliver(id, exit);
  }

  tell(id: string, exit: ExitRecord): void {
    if (this.#listeners.length === 0) this.#untold.push({ id, exit });
    else this.#deliver(id, exit);
  }

  /** Whoever is killed before it is done hears of the end again. */
  #deliver(id: string, exit: ExitRecord): void {
    for (const listener of this.#listeners) listener(id, exit);
    const entry = this.#inventory.get(id);
    if (entry?.exit === exit) this.#inventory.put({ ...entry, isExitTold: true });
  }
}
