/** Counters of network interfaces from /proc/net/dev (proc_pid_net(5)): one read for all containers. */
import { interfaceColumns } from "./figures.ts";
import { KeptFile } from "./kept-file.ts";
import { numberAt } from "./kernel-text.ts";

const colon = 0x3a;
const space = 0x20;
const newline = 0x0a;

/** Positions in a line's numbers, in the order of `interfaceColumns` as the other end of a veth pair sees them. */
const peerColumns = [8, 9, 10, 11, 0, 1, 2, 3];

export class NetworkReader {
  readonly #file: KeptFile;

  /** The file decides whose network namespace is looked at; it stays that one's. */
  constructor(path = "/proc/net/dev") {
    this.#file = new KeptFile(path, { keep: true });
  }

  /**
   * Host interface -> what the container at its other end received and sent, a number for each of `interfaceColumns`:
   * the host's transmit is the container's receive.
   */
  read(wanted: ReadonlySet<string>): ReadonlyMap<string, Float64Array> {
    const found = new Map<string, Float64Array>();
    if (wanted.size === 0) return found;
    const { bytes, length } = this.#file.read();
    let at = 0;
    while (at < length) {
      let end = bytes.indexOf(newline, at);
      if (end < 0 || end > length) end = length;
      const separator = bytes.indexOf(colon, at);
      if (separator > at && separator < end) {
        while (bytes[at] === space) at++;
        const name = bytes.toString("latin1", at, separator);
        if (wanted.has(name)) found.set(name, peerNumbers(bytes, separator + 1, end));
      }
      at = end + 1;
    }
    return found;
  }

  close(): void {
    this.#file.close();
  }
}

function peerNumbers(bytes: Uint8Array, from: number, end: number): Float64Array {
  const numbers: number[] = [];
  let at = from;
  while (at < end) {
    while (at < end && bytes[at] === space) at++;
    if (at < end) numbers.push(numberAt(bytes, at, end));
    while (at < end && bytes[at] !== space) at++;
  }
  return Float64Array.from(interfaceColumns, (_, index) => numbers[peerColumns[index] ?? 0] ?? 0);
}
