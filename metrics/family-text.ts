/** The text of one family, kept from scrape to scrape: only what changed is written. */
import { ExpositionBuffer } from "./exposition.ts";
import type { NumberedFamily } from "./families.ts";

/** Takes the samples of a family, one after another. */
export type SampleSink = {
  /** `prefix` is all of the line up to the value; the same series has the same array each time. */
  sample(prefix: Uint8Array, number: number, decimals: number): void;
};

/** Between `begin` and `end` come all samples. Those that are as they were before cost a comparison. */
export class FamilyText implements SampleSink {
  readonly numbered: NumberedFamily;
  readonly #text = new ExpositionBuffer();
  readonly #number = new ExpositionBuffer(new Uint8Array(64));
  /** For each line: its prefix, its number, and where it begins. One more for the end of the last. */
  #prefixes: Uint8Array[] = [];
  #numbers: number[] = [];
  #starts: number[] = [];
  #count = 0;

  constructor(numbered: NumberedFamily) {
    this.numbered = numbered;
    const { name, type, help } = numbered.family;
    this.#text.header(name, type, help);
    this.#starts.push(this.#text.length);
  }

  begin(): void {
    this.#count = 0;
  }

  sample(prefix: Uint8Array, number: number, decimals: number): void {
    const at = this.#count++;
    if (this.#prefixes[at] === prefix) {
      if (this.#numbers[at] === number || this.#overwrite(at, number, decimals)) return;
    }
    this.#cut(at);
    this.#text.sample(prefix, number, decimals);
    this.#prefixes.push(prefix);
    this.#numbers.push(number);
    this.#starts.push(this.#text.length);
  }

  /** The length in bytes of what `appendTo` will append. */
  end(): number {
    this.#cut(this.#count);
    return this.#count > 0 ? this.#text.length : 0;
  }

  /** Appends header and samples to `out`; nothing when there were no samples. */
  appendTo(out: ExpositionBuffer): void {
    if (this.#count > 0) out.append(this.#text.written());
  }

  /** A number that takes as many digits as the one before takes its place. */
  #overwrite(at: number, number: number, decimals: number): boolean {
    const from = (this.#starts[at] ?? 0) + (this.#prefixes[at]?.length ?? 0);
    const end = (this.#starts[at + 1] ?? 0) - 1;
    this.#number.truncate(0);
    this.#number.number(number, decimals);
    if (this.#number.length !== end - from) return false;
    this.#text.overwrite(from, this.#number.written());
    this.#numbers[at] = number;
    return true;
  }

  /** Forgets the lines from the one numbered `at` on. */
  #cut(at: number): void {
    if (at >= this.#prefixes.length) return;
    this.#text.truncate(this.#starts[at] ?? 0);
    this.#prefixes.length = at;
    this.#numbers.length = at;
    this.#starts.length = at + 1;
  }
}
