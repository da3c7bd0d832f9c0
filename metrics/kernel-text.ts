/** Parsers of the kernel's counter files that work on the bytes as they were read and make no strings on the way. */
import {
  type DeviceColumn,
  deviceColumns,
  type Figure,
  figureIndex,
  type Reading,
} from "./figures.ts";

/** Puts what it finds in `bytes[0..length)` into the reading. */
export type Parser = (bytes: Buffer, length: number, reading: Reading) => void;

const newline = 0x0a;
const space = 0x20;
const digitZero = 0x30;
const minus = 0x2d;
const letterM = 0x6d;

/** What v1 reports for "no limit" is the largest page-aligned 63-bit number. */
const unlimitedMin = 2 ** 62;

/** A file of one number; `max`, a negative number and v1's huge ones stand for "no limit" and give `unlimited`. */
export function singleNumber(figure: Figure, unlimited = Number.NaN): Parser {
  const index = figureIndex[figure];
  return (bytes, length, reading) => {
    if (length === 0) return;
    reading.values[index] = limitAt(bytes, 0, length, unlimited);
  };
}

/** Two numbers in a row, as in cpu.max: `max 100000`. */
export function numberPair(first: Figure, second: Figure): Parser {
  return (bytes, length, reading) => {
    const gap = bytes.indexOf(space);
    if (gap < 0 || gap >= length) return;
    reading.values[figureIndex[first]] = limitAt(bytes, 0, gap, Number.NaN);
    reading.values[figureIndex[second]] = numberAt(bytes, gap + 1, length);
  };
}

/** key of the file -> figure, and what its number is multiplied with. */
export type KeyedFigures = Readonly<Record<string, readonly [figure: Figure, factor?: number]>>;

/** Lines of `key number`. Keys that are not asked for are passed over. */
export function keyedNumbers(wanted: KeyedFigures): Parser {
  const byHash = new Map<number, readonly [index: number, factor: number]>();
  for (const [key, [figure, factor = 1]] of Object.entries(wanted)) {
    const hash = hashOf(key);
    if (byHash.has(hash))
      throw new Error(`cannot tell ${key} from another key: their hashes are equal`);
    byHash.set(hash, [figureIndex[figure], factor]);
  }
  return (bytes, length, reading) => {
    let hash = 0;
    for (let at = 0; at < length; at++) {
      const byte = bytes[at] ?? 0;
      if (byte !== space) {
        hash = (Math.imul(hash, 31) + byte) | 0;
        continue;
      }
      const end = lineEnd(bytes, at, length);
      const found = byHash.get(hash);
      if (found) {
        const number = numberAt(bytes, at + 1, end);
        reading.values[found[0]] = Math.floor(number * found[1]);
      }
      at = end;
      hash = 0;
    }
  };
}

/** PSI: `some avg10=… avg60=… avg300=… total=N` and the same for `full` (Documentation/accounting/psi.rst). */
export function pressure(some: Figure, full: Figure): Parser {
  return (bytes, length, reading) => {
    for (let at = 0; at < length; ) {
      const end = lineEnd(bytes, at, length);
      const figure = bytes[at] === 0x73 ? some : full;
      const equals = bytes.lastIndexOf(0x3d, end - 1);
      if (equals > at) reading.values[figureIndex[figure]] = numberAt(bytes, equals + 1, end);
      at = end + 1;
    }
  };
}

/** cgroup.procs: a line for each process. */
export function countLines(figure: Figure): Parser {
  const index = figureIndex[figure];
  return (bytes, length, reading) => {
    let count = 0;
    for (let at = 0; at < length; at++) if (bytes[at] === newline) count++;
    reading.values[index] = count;
  };
}

/** v1 blkio: `254:0 Read 4096`, one operation a line, then totals. Devices without the two operations are left out. */
export function blkioOperations(read: DeviceColumn, write: DeviceColumn): Parser {
  return (bytes, length, reading) => {
    for (const line of textLines(bytes, length)) {
      const [device, operation, amount] = line.split(" ");
      if (!device?.includes(":") || amount === undefined) continue;
      if (operation === "Read")
        deviceRow(reading, device)[deviceColumns.indexOf(read)] = Number(amount);
      if (operation === "Write")
        deviceRow(reading, device)[deviceColumns.indexOf(write)] = Number(amount);
    }
  };
}

const ioStatKeys: Readonly<Record<string, DeviceColumn>> = {
  rbytes: "readBytes",
  wbytes: "writeBytes",
  rios: "reads",
  wios: "writes",
};

/** v2 io.stat: `254:0 rbytes=… wbytes=… rios=… wios=… …`. */
export const ioStat: Parser = (bytes, length, reading) => {
  for (const line of textLines(bytes, length)) {
    const [device, ...pairs] = line.split(" ");
    if (!device?.includes(":")) continue;
    for (const pair of pairs) {
      const [key = "", amount] = pair.split("=");
      const column = ioStatKeys[key];
      if (column) deviceRow(reading, device)[deviceColumns.indexOf(column)] = Number(amount);
    }
  }
};

/** The digits from `from` on; 0 where there are none. Exact up to 2^53. */
export function numberAt(bytes: Uint8Array, from: number, end: number): number {
  let value = 0;
  for (let at = from; at < end; at++) {
    const digit = (bytes[at] ?? 0) - digitZero;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return value;
}

function limitAt(bytes: Uint8Array, from: number, end: number, unlimited: number): number {
  if (bytes[from] === letterM || bytes[from] === minus) return unlimited;
  const value = numberAt(bytes, from, end);
  return value >= unlimitedMin ? unlimited : value;
}

function lineEnd(bytes: Uint8Array, from: number, length: number): number {
  let at = from;
  while (at < length && bytes[at] !== newline) at++;
  return at;
}

function hashOf(key: string): number {
  let hash = 0;
  for (let at = 0; at < key.length; at++) hash = (Math.imul(hash, 31) + key.charCodeAt(at)) | 0;
  return hash;
}

function deviceRow(reading: Reading, device: string): Float64Array {
  let row = reading.devices.get(device);
  if (!row) {
    row = new Float64Array(deviceColumns.length).fill(Number.NaN);
    reading.devices.set(device, row);
  }
  return row;
}

/** Block devices are few and idle containers have none: text will do. */
function textLines(bytes: Buffer, length: number): readonly string[] {
  return length === 0 ? [] : bytes.toString("latin1", 0, length).split("\n");
}
