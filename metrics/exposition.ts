/** Prometheus text exposition format 0.0.4, written as bytes. */

export type MetricType = "counter" | "gauge";

const digitZero = 0x30;
const dot = 0x2e;
const minus = 0x2d;
const newline = 0x0a;

/** Above this, arithmetic on doubles is no longer exact to the unit; String() rounds such numbers as IEEE says. */
const exactMax = 2 ** 53;
const chunk = 1_000_000_000;
const numberBytesMax = 32;

export class ExpositionBuffer {
  #bytes: Uint8Array;
  #length = 0;

  /** Writes into this memory for as long as it is enough. */
  constructor(into: Uint8Array = new Uint8Array(4096)) {
    this.#bytes = into;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** Forgets what was written after the first `length` bytes. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** HELP and TYPE: once for each family, before its first sample. */
  header(name: string, type: MetricType, help: string): void {
    this.append(
      new TextEncoder().encode(`# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`),
    );
  }

  /** `prefix` is all of the line up to the value (see `seriesPrefix`); the value is `number / 10^decimals`. */
  sample(prefix: Uint8Array, number: number, decimals: number): void {
    this.#reserve(prefix.length + numberBytesMax);
    this.#bytes.set(prefix, this.#length);
    this.#length += prefix.length;
    this.#write(number, decimals);
    this.#bytes[this.#length++] = newline;
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** `number / 10^decimals` by itself. */
  number(number: number, decimals: number): void {
    this.#reserve(numberBytesMax);
    this.#write(number, decimals);
  }

  /** Puts other bytes in the place of some that were written. */
  overwrite(at: number, bytes: Uint8Array): void {
    this.#bytes.set(bytes, at);
  }

  /** What was written, until the next write. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #write(number: number, decimals: number): void {
    if (!Number.isSafeInteger(number) || Math.abs(number) >= exactMax) {
      const text = decimals === 0 ? `${number}` : `${number / 10 ** decimals}`;
      for (let at = 0; at < text.length; at++) this.#bytes[this.#length++] = text.charCodeAt(at);
      return;
    }
    if (number < 0) this.#bytes[this.#length++] = minus;
    const scale = 10 ** decimals;
    const magnitude = Math.abs(number);
    const whole = Math.floor(magnitude / scale);
    this.#digits(whole);
    if (decimals > 0) this.#fraction(magnitude - whole * scale, decimals);
  }

  #digits(whole: number): void {
    if (whole >= chunk) {
      const upper = Math.floor(whole / chunk);
      this.#digits(upper);
      this.#padded(whole - upper * chunk, 9);
      return;
    }
    let width = 1;
    for (let limit = 10; whole >= limit; limit *= 10) width++;
    this.#padded(whole, width);
  }

  #fraction(fraction: number, decimals: number): void {
    if (fraction === 0) return;
    let rest = fraction;
    let width = decimals;
    while (rest % 10 === 0) {
      rest /= 10;
      width--;
    }
    this.#bytes[this.#length++] = dot;
    this.#padded(rest, width);
  }

  #padded(value: number, width: number): void {
    let rest = value | 0;
    for (let at = this.#length + width - 1; at >= this.#length; at--) {
      const next = (rest / 10) | 0;
      this.#bytes[at] = digitZero + (rest - next * 10);
      rest = next;
    }
    this.#length += width;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

/** `name{labels} `: the bytes of a sample line before its value. `labels` as `labelPairs` makes them, or empty. */
export function seriesPrefix(name: string, ...labels: readonly string[]): Uint8Array {
  const inner = labels.filter((text) => text !== "").join(",");
  return new TextEncoder().encode(inner === "" ? `${name} ` : `${name}{${inner}} `);
}

/** `key="value",…` with the values escaped; keys are made valid, and the first of two that become equal wins. */
export function labelPairs(labels: Readonly<Record<string, string>>): string {
  const pairs = new Map<string, string>();
  for (const [key, value] of Object.entries(labels)) {
    const name = labelName(key);
    if (!pairs.has(name)) pairs.set(name, `${name}="${escapeLabel(value)}"`);
  }
  return [...pairs.values()].join(",");
}

function labelName(key: string): string {
  const valid = key.replace(/[^a-zA-Z0-9_]/g, "_");
  return /^[0-9]/.test(valid) ? `_${valid}` : valid;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function escapeHelp(help: string): string {
  return help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}
