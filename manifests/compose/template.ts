/** The value of a variable, or undefined when it is not set. */
export type Lookup = (name: string) => string | undefined;

export type TemplateRequest = {
  readonly text: string;
  readonly lookup: Lookup;
  /** `offset` is where in `text` the mistake stands. */
  readonly onError: (offset: number, message: string) => void;
  readonly onUnset: (name: string, offset: number) => void;
};

/**
 * Replaces `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME-word}`, `${NAME:?word}`,
 * `${NAME?word}`, `${NAME:+word}`, `${NAME+word}` and `$$` (Compose Specification,
 * "Interpolation"); a word may hold variables again and is looked at only where it is used.
 * Undefined after an error.
 */
export function expandTemplate(request: TemplateRequest): string | undefined {
  if (!request.text.includes("$")) return request.text;
  const reader = { text: request.text, offset: 0 };
  try {
    return evaluate(parseWord(reader, 0), request);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    request.onError(error.offset, error.message);
    return undefined;
  }
}

class TemplateError extends Error {
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

type Operator = ":-" | "-" | ":?" | "?" | ":+" | "+";
type Variable = {
  readonly name: string;
  readonly offset: number;
  readonly operator?: Operator;
  readonly word: Word;
};
type Word = readonly (string | Variable)[];
type Reader = { readonly text: string; offset: number };

const nestingMax = 32;
const resultLengthMax = 1024 * 1024;

/** Reads up to the end of the text, or inside braces up to and past the closing one. */
function parseWord(reader: Reader, nesting: number): Word {
  const word: (string | Variable)[] = [];
  const start = reader.offset;
  if (nesting > nestingMax)
    throw new TemplateError(start, `variables are nested more than ${nestingMax} levels deep`);
  const plain = nesting === 0 ? /[^$]+/y : /[^$}]+/y;
  while (reader.offset < reader.text.length) {
    const literal = take(reader, plain);
    if (literal !== undefined) word.push(literal);
    else if (take(reader, /\}/y) !== undefined) return word;
    else if (take(reader, /\$\$/y) !== undefined) word.push("$");
    // As Compose has it: `^a$` and `5 $` mean what they say.
    else if (take(reader, /\$(?![A-Za-z_{])/y) !== undefined) word.push("$");
    else word.push(parseVariable(reader, nesting));
  }
  if (nesting > 0) throw new TemplateError(start, "the brace of a variable is not closed");
  return word;
}

function parseVariable(reader: Reader, nesting: number): Variable {
  const offset = reader.offset;
  const shown = JSON.stringify(reader.text.slice(offset, offset + 20));
  reader.offset += 1;
  const braced = take(reader, /\{/y) !== undefined;
  const name = take(reader, /[A-Za-z_][A-Za-z0-9_]*/y);
  if (name === undefined)
    throw new TemplateError(
      offset,
      `${shown} names no variable: write $$ for a literal dollar sign`,
    );
  if (!braced || take(reader, /\}/y) !== undefined) return { name, offset, word: [] };
  const operator = take(reader, /:?[-?+]/y);
  if (operator === undefined)
    throw new TemplateError(
      offset,
      `${shown} is not a variable: one of } :- - :? ? :+ + is expected after the name`,
    );
  // The pattern above matches exactly the operators.
  return { name, offset, operator: operator as Operator, word: parseWord(reader, nesting + 1) };
}

function take(reader: Reader, pattern: RegExp): string | undefined {
  pattern.lastIndex = reader.offset;
  const found = pattern.exec(reader.text)?.[0];
  if (found !== undefined) reader.offset += found.length;
  return found;
}

function evaluate(word: Word, request: TemplateRequest): string {
  let result = "";
  for (const part of word) {
    result += typeof part === "string" ? part : evaluateVariable(part, request);
    if (result.length > resultLengthMax)
      throw new TemplateError(0, `expands to more than ${resultLengthMax} characters`);
  }
  return result;
}

function evaluateVariable(variable: Variable, request: TemplateRequest): string {
  const { name, offset, operator, word } = variable;
  const value = request.lookup(name);
  const present = operator?.startsWith(":") ? (value ?? "") !== "" : value !== undefined;
  switch (operator) {
    case ":-":
    case "-":
      return present ? (value ?? "") : evaluate(word, request);
    case ":+":
    case "+":
      return present ? evaluate(word, request) : "";
    case ":?":
    case "?": {
      if (present) return value ?? "";
      const reason = evaluate(word, request);
      throw new TemplateError(
        offset,
        `the required variable ${name} is ${value === undefined ? "not set" : "empty"}` +
          `${reason === "" ? "" : `: ${reason}`}: set it in .env`,
      );
    }
    default:
      if (value === undefined) request.onUnset(name, offset);
      return value ?? "";
  }
}
