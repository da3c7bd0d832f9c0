/** Printing: plain when piped, coloured and cleaned of control characters on a terminal. */
import { stripVTControlCharacters, styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** Exit status of a shell for a command that SIGPIPE ended. */
const BROKEN_PIPE_EXIT_CODE = 141;

/** Text and a newline to stdout. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** One line to stderr. */
export function printNote(text: string): void {
  process.stderr.write(`${printable(text)}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, process.stdout.isTTY ? 2 : 0));
}

/** Resolves when stdout can take more. */
export function whenDrained(stream: NodeJS.WriteStream): Promise<void> {
  if (!stream.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    stream.once("drain", resolve);
  });
}

/** Coloured on a terminal, unless NO_COLOR is set. */
export function style(format: Style, text: string): string {
  return styleText(format, text, { stream: process.stdout });
}

/** The text without what a terminal would obey: escape sequences, control characters, overrides of direction. */
export function printable(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/[\n\r\t]+/g, " ")
    .replace(/\p{Cc}|[\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "");
}

/** A reader that goes away (`berth logs web | head`) ends the command quietly. */
export function endOnBrokenPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(BROKEN_PIPE_EXIT_CODE);
      throw error;
    });
  }
}
