/** Aligned columns for people. */
import { printable, style } from "./terminal.ts";

export type Cell =
  | string
  | { readonly text: string; readonly color: "green" | "red" | "yellow" | "dim" };

/**
 * The rows under their headings, every column as wide as its widest cell, two spaces between them. Cells are
 * cleaned of control characters; the last column is not padded.
 */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly Cell[])[],
): string {
  const cleaned = rows.map((row) => row.map(clean));
  const widths = headings.map((heading, column) => {
    if (column === headings.length - 1) return 0;
    return Math.max(heading.length, ...cleaned.map((row) => displayWidth(row[column]?.text ?? "")));
  });
  const heading = headings.map((text, column) => pad(text, widths[column] ?? 0));
  const lines = cleaned.map((row) =>
    row.map(({ text, color }, column) => {
      const padded = pad(text, widths[column] ?? 0);
      return color === undefined ? padded : style(color, padded);
    }),
  );
  return [heading.map((text) => style("bold", text)), ...lines]
    .map((cells) => cells.join("  ").trimEnd())
    .join("\n");
}

/** Columns the text takes on a terminal: two for East Asian wide characters and emoji (UAX 11, abridged). */
export function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) width += wide.test(segment) ? 2 : 1;
  return width;
}

const wide =
  /[\p{Extended_Pictographic}\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u;

function clean(cell: Cell): { text: string; color: Exclude<Cell, string>["color"] | undefined } {
  if (typeof cell === "string") return { text: printable(cell), color: undefined };
  return { text: printable(cell.text), color: cell.color };
}

function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - displayWidth(text)));
}
