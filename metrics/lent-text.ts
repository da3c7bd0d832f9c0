/** Text in memory that is used again for the next one: a scrape of hundreds of containers is ten megabytes. */

/** To be read until `release` was called, which the one who asked for it does once; who never does costs memory alone. */
export type LentText = {
  /** In this order they are the text. */
  readonly parts: readonly Uint8Array[];
  release(): void;
};

type Loan = { readonly text: Promise<LentText>; holders: number };

/** Calls at the same time share one text, which goes back when each of them has released it. */
export class SharedText {
  readonly #make: () => Promise<LentText>;
  #underWay: Loan | undefined;

  constructor(make: () => Promise<LentText>) {
    this.#make = make;
  }

  take(): Promise<LentText> {
    this.#underWay ??= this.#begin();
    const loan = this.#underWay;
    loan.holders += 1;
    return loan.text.then(({ parts, release }) => {
      let isHeld = true;
      return {
        parts,
        release: () => {
          if (isHeld) loan.holders -= 1;
          if (isHeld && loan.holders === 0) release();
          isHeld = false;
        },
      };
    });
  }

  #begin(): Loan {
    const text = this.#make().finally(() => {
      this.#underWay = undefined;
    });
    return { text, holders: 0 };
  }
}
