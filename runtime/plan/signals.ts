import { constants } from "node:os";

/**
 * The number of a signal as people write it: `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`. Throws for an unknown one.
 * Real-time signals are numbered as glibc does: SIGRTMIN is 34.
 */
export function signalNumber(name: string): number {
  const text = name.toUpperCase();
  if (/^[0-9]{1,2}$/.test(text) && Number(text) >= 1 && Number(text) <= realTimeMax)
    return Number(text);
  const realTime = /^(?:SIG)?RT(MIN|MAX)(?:([+-])([0-9]{1,2}))?$/.exec(text);
  if (realTime !== null) {
    const base = realTime[1] === "MIN" ? realTimeMin : realTimeMax;
    const offset = Number(realTime[3] ?? 0) * (realTime[2] === "-" ? -1 : 1);
    const number = base + offset;
    if (number >= realTimeMin && number <= realTimeMax) return number;
  }
  const known = new Map<string, number>(Object.entries(constants.signals));
  const number = known.get(text) ?? known.get(`SIG${text}`);
  if (number === undefined) {
    throw new Error(
      `cannot send signal "${name}": a name such as SIGTERM or a number from 1 to 64 is expected`,
    );
  }
  return number;
}

const realTimeMin = 34;
const realTimeMax = 64;
