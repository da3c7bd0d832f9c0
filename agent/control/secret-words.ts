/** What looks like a secret in what people write: a guess that rather hides too much. */
export type Secret = {
  /** Of the variable that is to stand for it. */
  readonly name: string;
  readonly value: string;
  /** Where in its text it begins. */
  readonly at: number;
  readonly isInUrl: boolean;
};

const word =
  "(?:passw(?:or)?d|passphrase|passwd|secret|token|credential|apikey|api[-_.]key|requirepass|" +
  "(?<![a-z])(?:auth|key|pwd|pass)(?![a-z]))";
const secretWord = new RegExp(word, "i");
/** Names of what says where a secret is, and not what it is. */
const placeWord = /(?:^|[-_.])(?:file|path|dir|name|ttl|id)$/i;
/** `--password=VALUE`, `PGPASSWORD=VALUE`, `--token VALUE`. */
const assignment = new RegExp(
  `(?<![\\w.-])(--?)?([\\w.-]*${word}[\\w.-]*)(=|:\\s?|\\s+)["']?([^\\s"']+)`,
  "gi",
);
const option = new RegExp(`^--?([\\w.-]*${word}[\\w.-]*)$`, "i");
const url = /:\/\/[^/\s:@]*:([^/\s@]+)@/g;
const token =
  /\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|sk-[\w-]{20,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----/g;

export function secretName(name: string, value: string): boolean {
  return secretWord.test(name) && !placeWord.test(name) && isTold(value);
}

/** Secrets of the words of a command line, each word as the program gets it. */
export function secretsIn(words: readonly string[]): readonly Secret[] {
  return words.flatMap((text, index) => {
    const [, before] = option.exec(words[index - 1] ?? "") ?? [];
    const own = before !== undefined && secretName(before, text);
    if (own) return [{ name: variable(before), value: text, at: 0, isInUrl: false }];
    return [...inUrls(text), ...inAssignments(text), ...ofKnownForm(text)];
  });
}

function inUrls(text: string): readonly Secret[] {
  return [...text.matchAll(url)].map(({ 0: whole, 1: value = "", index }) => ({
    name: "URL_PASSWORD",
    value,
    at: index + whole.length - 1 - value.length,
    isInUrl: true,
  }));
}

function inAssignments(text: string): readonly Secret[] {
  return [...text.matchAll(assignment)].flatMap((match) => {
    const { 0: whole, 1: dashes, 2: name = "", 3: between = "", 4: value = "", index } = match;
    // A word of a sentence is no option.
    const isSentence = dashes === undefined && between !== "=";
    if (isSentence || value.startsWith("$") || !secretName(name, value)) return [];
    const at = index + whole.length - value.length;
    return [{ name: variable(name), value, at, isInUrl: false }];
  });
}

function ofKnownForm(text: string): readonly Secret[] {
  return [...text.matchAll(token)].map(({ 0: value, index }) => ({
    name: value.startsWith("-----") ? "PRIVATE_KEY" : "TOKEN",
    value,
    at: index,
    isInUrl: false,
  }));
}

function isTold(value: string): boolean {
  return value !== "" && !/^(?:true|false|yes|no|on|off)$/i.test(value);
}

function variable(name: string): string {
  const plain = name.replaceAll(/[^A-Za-z0-9]+/g, "_").replaceAll(/^_+|_+$/g, "");
  return /^\d/.test(plain) ? `SECRET_${plain.toUpperCase()}` : plain.toUpperCase();
}
