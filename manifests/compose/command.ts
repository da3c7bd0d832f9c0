import { z } from "zod";
import { quoteValue } from "../diagnostics.ts";
import { byKind } from "./by-kind.ts";

/**
 * A command as an argument list. A string is split as a shell splits words, but no shell runs
 * it; null means that the image's own stays, an empty string or list that the image's is
 * dropped.
 */
export const Command = byKind({
  null: z.null(),
  string: z.string().transform((text, context) => {
    const words = splitCommand(text);
    if (typeof words !== "string") return words;
    context.addIssue({ code: "custom", message: `${quoteValue(text)} ${words}` });
    return z.NEVER;
  }),
  list: z.array(z.string()),
});
export type Command = z.infer<typeof Command>;

/** The words that a shell would see, or what is wrong. */
export function splitCommand(text: string): string[] | string {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let index = 0; index < text.length; index += 1) {
    const letter = text.charAt(index);
    if (letter === "\\" && quote !== "'") {
      index += 1;
      if (index === text.length) return "ends with a backslash that escapes nothing";
      word = (word ?? "") + text.charAt(index);
    } else if (quote !== "") {
      if (letter === quote) quote = "";
      else word = (word ?? "") + letter;
    } else if (letter === '"' || letter === "'") {
      quote = letter;
      word ??= "";
    } else if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (";&|<>()`".includes(letter)) {
      return `has an unquoted ${letter}, which needs a shell: use ["sh", "-c", "…"] or quote it`;
    } else {
      word = (word ?? "") + letter;
    }
  }
  if (quote !== "") return `has no closing ${quote}`;
  if (word !== undefined) words.push(word);
  return words;
}
