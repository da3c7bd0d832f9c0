/** One line on stderr that is written over while long work goes on; nothing at all when stderr is no terminal. */
import { displayWidth } from "./table.ts";
import { printable } from "./terminal.ts";

export type ProgressLine = {
  show(text: string): void;
  /** Wipes the line. */
  clear(): void;
};

export function createProgressLine(): ProgressLine {
  const { stderr } = process;
  if (!stderr.isTTY) return { show: () => undefined, clear: () => undefined };
  const clear = (): void => {
    // CR, then "erase to the end of the line" (ECMA-48 EL).
    stderr.write("\r\u001b[K");
  };
  return {
    show(text) {
      clear();
      stderr.write(cut(printable(text), columnsOf(stderr) - 1));
    },
    clear,
  };
}

/** A terminal without a window says 0. */
function columnsOf({ columns }: NodeJS.WriteStream): number {
  return columns > 0 ? columns : 80;
}

function cut(text: string, columns: number): string {
  let shorter = text;
  while (shorter !== "" && displayWidth(shorter) > columns) shorter = shorter.slice(0, -1);
  return shorter;
}
