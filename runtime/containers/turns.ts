/** Work for one id is carried out one piece after the other; for different ids side by side. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Resolves with what the work gives, after all that was asked for before; a failure of that holds nothing up. */
  take<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(id) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.#last.set(id, turn);
    const forget = () => {
      if (this.#last.get(id) === turn) this.#last.delete(id);
    };
    turn.then(forget, forget);
    return turn;
  }
}
